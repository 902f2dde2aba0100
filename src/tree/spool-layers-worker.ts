/** A worker thread of spool-layers.ts: reads the blob of one layer at a time. */
import { closeSync, openSync } from 'node:fs';
import type { ByteStream } from '../bytes/stream.js';
import { inContext, OstrataError } from '../errors.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { validateBlob } from '../oci/validate.js';
import { receiveStreams } from '../system/stream-worker.js';
import { writeFully } from '../system/write-fully.js';
import { type IndexedEntry, indexLayer } from './layer-index.js';
import { encodeLayerIndex } from './layer-index-file.js';
import { SPACE_ADVICE, writingSpool } from './spool.js';
import type { SpoolTask } from './spool-layers.js';

receiveStreams('reading layers', async (task: SpoolTask, stream) => {
  const { tar: path, maxTarSize } = task;
  if (path === undefined) {
    return readLayer(task, stream, (tar) => indexLayer(tar, task));
  }
  const file = inContext('writing', () => openSync(path, 'wx', 0o600));
  const onBytes = (bytes: Uint8Array) => writingSpool(() => writeFully(file, bytes));
  try {
    return await readLayer(task, stream, (tar) => {
      tar.limitTo(maxTarSize, SPACE_ADVICE);
      return indexLayer(tar, { ...task, onBytes });
    });
  } finally {
    closeSync(file);
  }
});

async function readLayer(
  { blob, diffId }: SpoolTask,
  stream: ByteStream,
  read: (tar: LayerTar) => Promise<readonly IndexedEntry[]>,
): Promise<Uint8Array> {
  const { diffId: computed, visited } = await validateBlob(stream, blob, read);
  if (diffId !== undefined && computed !== diffId) {
    throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${computed}`);
  }
  return encodeLayerIndex(visited);
}
