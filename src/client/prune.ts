/** Refs of layers that no image needs. The objects go with the next `ostree prune`. */
import type { RepoWriter } from '../ostree/write/writer.js';
import { allImages, blobRef, listBlobs } from './stored.js';

/**
 * Removes the refs of layers that no pulled image and no deployment has. Returns how many; undefined, with nothing
 * removed, while another process writes: it may be pulling an image that needs them.
 */
export function pruneLayers(writer: RepoWriter): number | undefined {
  return writer.withExclusiveLock(() => {
    const needed = new Set(
      allImages(writer.repo).flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)),
    );
    const unneeded = listBlobs(writer.repo).filter((digest) => !needed.has(digest));
    for (const digest of unneeded) {
      writer.deleteRef(blobRef(digest));
    }
    return unneeded.length;
  });
}
