/** Keeps the indexes of layers in the cache of blobs, each under the diffId of its layer. */
import { readFileSync, writeFileSync } from 'node:fs';
import { sha256Digest } from '../oci/json.js';
import { LAYER_INDEX_VERSION } from '../tree/layer-index-file.js';
import type { LayerIndexStore } from '../tree/spooled-image.js';
import type { BlobCache } from './cache.js';

/**
 * Returns the store of layer indexes in `cache`. An index that cannot be written is only a warning,
 * and a damaged one counts as missing.
 */
export function layerIndexStore(cache: BlobCache): LayerIndexStore {
  return {
    load: (diffId) =>
      cache.withScratchFile((path) => {
        const found = cache.restore(keyOf(diffId), path);
        return found === undefined ? undefined : readFileSync(path);
      }),
    save: (diffId, index) =>
      cache.withScratchFile((path) => {
        writeFileSync(path, index);
        const digest = sha256Digest(index);
        const { length: size } = index;
        cache.add(keyOf(diffId), path, { diffId, digest, size, tarSize: size });
      }),
  };
}

function keyOf(diffId: string): string {
  return `index-${LAYER_INDEX_VERSION}-${diffId.replace(':', '-')}`;
}
