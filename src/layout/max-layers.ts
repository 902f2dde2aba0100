/**
 * The bound on the layers of an image. It counts all of them: one layer holds the ostree commit,
 * the others hold components. A layout is planned for the layers that are left for components.
 */

/** One layer for the commit and one for its components. */
export const MIN_LAYERS = 2;

/**
 * Half of the 128 layers that container storage takes: images built on top need layers, too. The
 * same default as MAX_CHUNKS of
 * https://github.com/ostreedev/ostree-rs-ext/blob/main/lib/src/chunking.rs
 */
export const DEFAULT_MAX_LAYERS = 64;

/** Returns how many layers of an image with at most `maxLayers` layers are left for components. */
export function layersForComponents(maxLayers: number): number {
  return maxLayers - 1;
}
