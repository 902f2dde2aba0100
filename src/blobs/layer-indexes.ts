/** Keeps the indexes of layers in the cache of blobs, each under the diffId of its layer. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Digest } from '../oci/json.js';
import { makeTemporaryDirectory } from '../system/temporary-directory.js';
import { LAYER_INDEX_VERSION } from '../tree/layer-index-file.js';
import type { LayerIndexStore } from '../tree/spooled-image.js';
import type { BlobCache } from './cache.js';

/** An index that cannot be written is only a warning, and one that is damaged is not there. */
export function layerIndexStore(cache: BlobCache): LayerIndexStore {
  return {
    load: (diffId) =>
      withScratchFile((path) => {
        const found = cache.restore(keyOf(diffId), path);
        return found === undefined ? undefined : readFileSync(path);
      }),
    save: (diffId, index) =>
      withScratchFile((path) => {
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

function withScratchFile<T>(body: (path: string) => T): T {
  const scratch = makeTemporaryDirectory('ostrata-index-');
  try {
    return body(join(scratch.path, 'index'));
  } finally {
    scratch.remove();
  }
}
