/** What people call a layer that is in work: by its first component and how many more it has. */

/** The name of the layer that holds the commit and its metadata objects. */
export const COMMIT_LAYER_NAME = 'the ostree commit';

/**
 * Returns for example `linux-firmware and 3 more`.
 * @param components names; the first one stands for the layer
 * @param otherwise the name of a layer without components
 */
export function layerName(components: readonly string[], otherwise: string): string {
  const [first, ...others] = components;
  if (first === undefined) {
    return otherwise;
  }
  return others.length > 0 ? `${first} and ${others.length} more` : first;
}
