/** A worker thread of spool-layers.ts: reads the blob of one layer at a time. */
import { closeSync, openSync } from 'node:fs';
import type { ByteStream } from '../bytes/stream.js';
import { inContext, OstrataError } from '../errors.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { validateBlob } from '../oci/validate.js';
import { receiveStreams } from '../system/stream-worker.js';
import { writeFully } from '../system/write-fully.js';
import { indexLayer } from './layer-index.js';
import { encodeLayerIndex } from './layer-index-file.js';
import type { SpoolTask } from './spool-layers.js';

receiveStreams('reading layers', async (task: SpoolTask, stream) => {
  const { tar: path } = task;
  if (path === undefined) {
    return readLayer(task, stream);
  }
  const file = inContext('writing', () => openSync(path, 'wx', 0o600));
  try {
    return await readLayer(task, stream, copyTo(file, task));
  } finally {
    closeSync(file);
  }
});

function copyTo(file: number, { maxTarSize }: SpoolTask): (bytes: Uint8Array) => void {
  let size = 0;
  return (bytes) => {
    size += bytes.length;
    if (size > maxTarSize) {
      throw new OstrataError('LIMIT', `expands to more than the ${maxTarSize} bytes free on disk`);
    }
    inContext('writing', () => writeFully(file, bytes));
  };
}

async function readLayer(
  { blob, diffId, isRootFileSystem }: SpoolTask,
  stream: ByteStream,
  onBytes?: (bytes: Uint8Array) => void,
): Promise<Uint8Array> {
  const read = (tar: LayerTar) => indexLayer(tar, { onBytes, isRootFileSystem });
  const { diffId: computed, visited } = await validateBlob(stream, blob, read);
  if (diffId !== undefined && computed !== diffId) {
    throw new OstrataError('CORRUPT', `diff_id: stated ${diffId}, computed ${computed}`);
  }
  return encodeLayerIndex(visited);
}
