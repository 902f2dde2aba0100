/** Runs in a worker thread: writes one layer at a time to a file, or helps others with theirs. See pool.ts for the other end. */
import { parentPort, workerData } from 'node:worker_threads';
import { writeOstreeLayer } from '../layers/write.js';
import { openRepo } from '../ostree/repo.js';
import { type FailedReply, failedReply, receiveRequests } from '../system/worker-task.js';
import { fromColumns } from './columns.js';
import { createCompressor } from './compress.js';
import type { WorkerData, WorkerReply, WorkerTask } from './pool.js';
import { SharedWorkQueue } from './work-queue.js';
import { type BlobResult, BlobWriter } from './writer.js';

/** Progress is told in steps of this many bytes of tar. */
const PROGRESS_STEP = 8 << 20;

const { repoPath, compression, board: memory } = workerData as WorkerData;
const repo = openRepo(repoPath);
const compressor = await createCompressor(compression);
const board = memory && new SharedWorkQueue(memory, compressor);
const reply = (message: WorkerReply | FailedReply) => parentPort?.postMessage(message);

async function write({ spec, path }: WorkerTask): Promise<BlobResult> {
  const blob = new BlobWriter(path, compressor, board);
  let untold = 0;
  try {
    const sink = (bytes: Uint8Array) => {
      blob.write(bytes);
      untold += bytes.length;
      if (untold < PROGRESS_STEP) {
        return;
      }
      reply({ type: 'progress', bytes: untold });
      untold = 0;
    };
    await writeOstreeLayer(repo, fromColumns(spec), sink, () => blob.room());
    return blob.finish();
  } catch (error) {
    blob.close();
    throw error;
  }
}

function help(): void {
  board?.workUntilClosed();
  reply({ type: 'helped' });
}

receiveRequests(async (task: WorkerTask | 'help') => {
  if (task === 'help') {
    return help();
  }
  try {
    reply({ type: 'done', result: await write(task) });
  } catch (error) {
    reply(failedReply(`writing ${task.path}`, error));
  }
});
