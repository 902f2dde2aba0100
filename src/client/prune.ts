/** Removes refs of layers that no image needs. Their objects go with the next `ostree prune`. */
import type { RepoWriter } from '../ostree/write/writer.js';
import { allImages, blobRef, listBlobs } from './stored.js';

/**
 * Removes the refs of layers that neither a pulled image nor a deployment needs, and returns their
 * number. Returns undefined, with nothing removed, while another process uses the repository: it
 * may be pulling an image that needs them.
 */
export function pruneLayers(writer: RepoWriter): number | undefined {
  return writer.withExclusiveLock(() => {
    const neededLayers = allImages(writer.repo).flatMap(({ manifest }) => manifest.layers);
    const needed = new Set(neededLayers.map(({ digest }) => digest));
    const unneeded = listBlobs(writer.repo).filter((digest) => !needed.has(digest));
    for (const digest of unneeded) {
      writer.deleteRef(blobRef(digest));
    }
    return unneeded.length;
  });
}
