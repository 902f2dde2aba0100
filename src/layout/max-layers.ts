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

/** What podman and buildah store, and what one overlay mount of Linux takes. */
export const STORAGE_LAYERS = 500;

/**
 * The most layers of an image that clients take, those of images built on top included; the sources
 * are in src/builder/README.md. The image store of a newer Docker takes more, but which of its two
 * stores a Docker has depends on how it was installed. bootc has no limit, but what is built on top
 * of its images goes through podman.
 */
export const CLIENT_LAYERS: ReadonlyMap<string, number> = new Map([
  ['docker20', 125],
  ['docker', 125],
  ['podman', STORAGE_LAYERS],
  ['bootc', STORAGE_LAYERS],
  ['old-overlay', 50],
]);

/** Returns how many layers of an image with at most `maxLayers` layers are left for components. */
export function layersForComponents(maxLayers: number): number {
  return maxLayers - 1;
}
