import { Worker } from 'node:worker_threads';
import { type ErrorCode, OstrataError, wrapError } from '../errors.js';
import type { LayerSpec } from '../layers/spec.js';
import { toColumns } from './columns.js';
import { type Compression, createCompressor } from './compress.js';
import { closeWorkQueue, createWorkQueue, type WorkQueueMemory } from './work-queue.js';
import type { BlobResult } from './writer.js';

export interface LayerTask {
  readonly spec: LayerSpec;
  /** File to create. */
  readonly path: string;
}
/** The task as a thread is told it. */
export interface WorkerTask {
  readonly spec: ReturnType<typeof toColumns>;
  readonly path: string;
}
export type WorkerReply =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: BlobResult }
  | { readonly type: 'helped' }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

export interface WorkerData {
  readonly repoPath: string;
  readonly compression: Compression;
  /** Undefined where nobody could help. */
  readonly board: WorkQueueMemory | undefined;
}

export interface WriteLayersOptions {
  readonly repoPath: string;
  readonly compression: Compression;
  /** Worker threads, at least 1; each writes one layer at a time, and when none is left helps the others. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Called with bytes of tar written since the last call. */
  readonly onProgress: (bytes: number) => void;
  /** Gets each layer as soon as it is written, while others are being written; `task` is its index. */
  readonly onWritten?: ((task: number, blob: BlobResult) => Promise<void>) | undefined;
}

/** Writes all layers, the largest first; results are in the order of `tasks`. Fails as soon as one fails, all workers ended. */
export async function writeLayers(
  tasks: readonly LayerTask[],
  options: WriteLayersOptions,
): Promise<BlobResult[]> {
  const results: BlobResult[] = [];
  if (tasks.length === 0) {
    return results;
  }
  const queue = tasks
    .map((task, index) => ({ task, index }))
    .sort((a, b) => weight(b.task) - weight(a.task) || a.index - b.index);
  const count = Math.max(1, Math.min(options.jobs, Math.ceil(totalWeight(tasks) / WORTH_A_WORKER)));
  const { repoPath, compression, onWritten } = options;
  const board = count > 1 ? createWorkQueue(await createCompressor(compression), count) : undefined;
  const workerData: WorkerData = { repoPath, compression, board };
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData, resourceLimits }),
  );
  let unfinished = tasks.length;
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const blob = (await send(worker, next.task, options)) as BlobResult;
          results[next.index] = blob;
          if (--unfinished === 0 && board) {
            closeWorkQueue(board);
          }
          await onWritten?.(next.index, blob);
        }
        if (board && unfinished > 0) {
          await send(worker, 'help', options);
        }
      }),
    );
    return results;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The result of a task; undefined after helping, which ends when the board is closed. */
function send(
  worker: Worker,
  task: LayerTask | 'help',
  { signal, onProgress }: WriteLayersOptions,
): Promise<BlobResult | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new OstrataError('CANCELLED', 'writing layers: cancelled'));
    const onError = (error: unknown) => reject(wrapError('layer worker', error));
    const onExit = (code: number) =>
      reject(new OstrataError('IO', `layer worker ended with exit code ${code}`));
    const onMessage = (reply: WorkerReply) => {
      if (reply.type === 'progress') {
        return onProgress(reply.bytes);
      }
      settle();
      if (reply.type === 'done') {
        resolve(reply.result);
      } else if (reply.type === 'helped') {
        resolve(undefined);
      } else {
        reject(new OstrataError(reply.code, reply.message));
      }
    };
    const settle = () => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
    };
    if (signal.aborted) {
      return onAbort();
    }
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal.addEventListener('abort', onAbort, { once: true });
    worker.postMessage(
      task === 'help'
        ? task
        : ({ path: task.path, spec: toColumns(task.spec) } satisfies WorkerTask),
    );
  });
}

/** Workers hold little for long: a small nursery is emptied often, and with it go blocks that would add up to 100 MB. */
const resourceLimits = { maxYoungGenerationSizeMb: 6 };
/** Starting a thread costs about as much as this much work. */
const WORTH_A_WORKER = 4 << 20;

function totalWeight(tasks: readonly LayerTask[]): number {
  return tasks.reduce((sum, task) => sum + weight(task), 0);
}

/** Expected work: what a layer's content and its number of objects cost. */
function weight({ spec }: LayerTask): number {
  /** Headers, links and look-ups of one object cost about as much as compressing this many bytes. */
  const objectCost = 4096;
  return spec.kind === 'commit'
    ? spec.directories.length * objectCost
    : spec.contentSize + spec.objects.length * objectCost;
}
