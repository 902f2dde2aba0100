/**
 * The bound on the layers of an image. It counts all of them: one layer holds the ostree commit,
 * the others hold components. A layout is planned for the layers that are left for components.
 */

/** One layer for the commit and one for its components. */
export const MIN_LAYERS = 2;

/**
 * The same default as MAX_CHUNKS of
 * https://github.com/ostreedev/ostree-rs-ext/blob/main/lib/src/chunking.rs, which rpm-ostree and
 * chunkah have, too.
 */
export const DEFAULT_MAX_LAYERS = 64;

/**
 * The default of `ostrata build`. Updates are smaller with more layers, but Docker takes 125
 * (maxLayerDepth in layer_store.go of https://github.com/moby/moby), and images built on top need
 * some of them.
 */
export const DEFAULT_MAX_LAYERS_OF_BUILD = 96;

/** Returns how many layers of an image with at most `maxLayers` layers are left for components. */
export function layersForComponents(maxLayers: number): number {
  return maxLayers - 1;
}
