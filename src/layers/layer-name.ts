/** What people call a layer that is in work: by its first component and how many more it has. */
import { bounded } from '../errors.js';

/** The name of the layer that holds the commit and its metadata objects. */
export const COMMIT_LAYER_NAME = 'the ostree commit';

/**
 * Returns for example `linux-firmware and 3 more`, at most 1,000 bytes: a name of megabytes, which
 * an image may have, would be measured each time that progress is drawn.
 * @param components names; the first one stands for the layer
 * @param otherwise the name of a layer without components
 */
export function layerName(components: readonly string[], otherwise: string): string {
  const [first, ...others] = components;
  if (first === undefined) {
    return bounded(otherwise);
  }
  return bounded(others.length > 0 ? `${first} and ${others.length} more` : first);
}
