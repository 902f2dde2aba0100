/**
 * The bound on the layers of an image. It counts all of them: one layer holds the ostree commit,
 * the others hold components. A layout is planned for the layers that are left for components.
 */

/** One layer for the commit and one for its components. */
export const MIN_LAYERS = 2;

/** The default of rpm-ostree too: MAX_CHUNKS in ostree-ext. */
export const DEFAULT_MAX_LAYERS = 64;

/** Returns how many layers of an image with at most `maxLayers` layers are left for components. */
export function layersForComponents(maxLayers: number): number {
  return maxLayers - 1;
}
