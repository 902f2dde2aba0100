/** A worker thread of pool.ts: writes the blob of one layer at a time, or compresses for others. */
import { parentPort, workerData } from 'node:worker_threads';
import { openLayerTarWriter } from '../layers/layer-spec.js';
import { type FailedReply, failedReply, receiveRequests } from '../system/worker-task.js';
import { InlineBlockCompressor, SharedBlockCompressor } from './block-compressor.js';
import { fromColumns } from './columns.js';
import { createCompressor } from './compress.js';
import type { WorkerData, WorkerReply, WorkerRequest, WriteRequest } from './pool.js';
import { SharedWorkQueue } from './work-queue.js';
import { type BlobResult, BlobWriter } from './writer.js';

/** Bytes of tar between two progress replies. */
const PROGRESS_STEP = 1 << 20;

const { content, compression, workQueue: queueMemory }: WorkerData = workerData;
const writeTar = openLayerTarWriter(content);
const compressor = await createCompressor(compression);
const workQueue = queueMemory && new SharedWorkQueue(queueMemory, compressor);

function reply(message: WorkerReply | FailedReply): void {
  parentPort?.postMessage(message);
}

async function writeBlob({ spec, path }: WriteRequest): Promise<BlobResult> {
  const blocks =
    workQueue === undefined
      ? new InlineBlockCompressor(compressor)
      : new SharedBlockCompressor(compressor, workQueue);
  const blob = new BlobWriter(path, compressor, blocks);
  let unreportedBytes = 0;
  const sink = (bytes: Uint8Array) => {
    blob.write(bytes);
    unreportedBytes += bytes.length;
    if (unreportedBytes >= PROGRESS_STEP) {
      reply({ type: 'progress', bytes: unreportedBytes });
      unreportedBytes = 0;
    }
  };

  try {
    await writeTar(fromColumns(spec), sink, () => blob.freeSpace());
  } catch (error) {
    blob.close();
    throw error;
  }
  return blob.finish();
}

receiveRequests(async (request: WorkerRequest) => {
  if (request.type === 'compress-for-others') {
    workQueue?.workUntilClosed();
    reply({ type: 'queue-closed' });
    return;
  }
  try {
    reply({ type: 'written', blob: await writeBlob(request) });
  } catch (error) {
    const { path } = request;
    reply(failedReply(path === undefined ? 'reading a layer' : `writing ${path}`, error));
  }
});
