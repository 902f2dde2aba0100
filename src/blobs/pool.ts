import { Worker } from 'node:worker_threads';
import type { LayerSpec } from '../layers/spec.js';
import { runWorkerTask } from '../system/worker-task.js';
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
  | { readonly type: 'helped' };

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
          const blob = await writeLayer(worker, next.task, options);
          results[next.index] = blob;
          if (--unfinished === 0 && board) {
            closeWorkQueue(board);
          }
          await onWritten?.(next.index, blob);
        }
        if (board && unfinished > 0) {
          await helpOthers(worker, options.signal);
        }
      }),
    );
    return results;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Has `worker` write one layer. */
function writeLayer(
  worker: Worker,
  { spec, path }: LayerTask,
  { signal, onProgress }: WriteLayersOptions,
): Promise<BlobResult> {
  const request: WorkerTask = { path, spec: toColumns(spec) };
  return runWorkerTask(worker, request, {
    name: 'writing layers',
    signal,
    onMessage: (reply: WorkerReply) => {
      if (reply.type === 'progress') {
        onProgress(reply.bytes);
      }
      return reply.type === 'done' ? reply.result : undefined;
    },
  });
}

/** Has `worker` compress blocks of the layers that others write, until the board is closed. */
async function helpOthers(worker: Worker, signal: AbortSignal): Promise<void> {
  await runWorkerTask(worker, 'help', {
    name: 'writing layers',
    signal,
    onMessage: (reply: WorkerReply) => reply.type === 'helped' || undefined,
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
