import { Worker } from 'node:worker_threads';
import { type ErrorCode, OstrataError, wrapError } from '../errors.js';
import type { BlobResult } from './blob.js';
import type { Compression } from './compress.js';
import type { LayerSpec } from './spec.js';

export interface LayerTask {
  readonly spec: LayerSpec;
  /** File to create. */
  readonly path: string;
}
export type WorkerReply =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: BlobResult }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

export interface WriteLayersOptions {
  readonly repoPath: string;
  readonly compression: Compression;
  /** Worker threads, at least 1; each writes one layer at a time. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Called with bytes of tar written since the last call. */
  readonly onProgress: (bytes: number) => void;
  /** Gets each layer as soon as it is written, while others are being written; `task` is its index. */
  readonly onWritten?: (task: number, blob: BlobResult) => Promise<void>;
}

/** Writes all layers, the largest first; results are in the order of `tasks`. Fails as soon as one fails, all workers ended. */
export async function writeLayers(tasks: readonly LayerTask[], options: WriteLayersOptions): Promise<BlobResult[]> {
  const results: BlobResult[] = [];
  const queue = tasks
    .map((task, index) => ({ task, index }))
    .sort((a, b) => weight(b.task) - weight(a.task) || a.index - b.index);
  const count = Math.max(1, Math.min(options.jobs, tasks.length));
  const { repoPath, compression, signal, onProgress, onWritten } = options;
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData: { repoPath, compression } }),
  );
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const blob = await runTask(worker, next.task, signal, onProgress);
          results[next.index] = blob;
          await onWritten?.(next.index, blob);
        }
      }),
    );
    return results;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function runTask(
  worker: Worker,
  task: LayerTask,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<BlobResult> {
  return new Promise<BlobResult>((resolve, reject) => {
    const onAbort = () => reject(new OstrataError('CANCELLED', 'writing layers: cancelled'));
    const onError = (error: unknown) => reject(wrapError('layer worker', error));
    const onExit = (code: number) => reject(new OstrataError('IO', `layer worker ended with exit code ${code}`));
    const onMessage = (reply: WorkerReply) => {
      if (reply.type === 'progress') return onProgress(reply.bytes);
      settle();
      if (reply.type === 'done') resolve(reply.result);
      else reject(new OstrataError(reply.code, reply.message));
    };
    const settle = () => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
    };
    if (signal.aborted) return onAbort();
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal.addEventListener('abort', onAbort, { once: true });
    worker.postMessage(task);
  });
}

/** Expected work: what a layer's content and its number of objects cost. */
function weight({ spec }: LayerTask): number {
  /** Headers, links and look-ups of one object cost about as much as compressing this many bytes. */
  const objectCost = 4096;
  return spec.kind === 'commit'
    ? spec.directories.length * objectCost
    : spec.contentSize + spec.objects.length * objectCost;
}
