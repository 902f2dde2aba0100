/** Worker threads that write the blobs of layers; worker.ts is the other end. */
import { Worker } from 'node:worker_threads';
import type { LayerSpec } from '../layers/layer-spec.js';
import type { WorkPart } from '../log.js';
import { runWorkerTask } from '../system/worker-task.js';
import type { ContentLocation } from '../tree/content-location.js';
import { type LayerColumns, toColumns } from './columns.js';
import { type Compression, createCompressor } from './compress.js';
import { closeWorkQueue, createWorkQueue, type WorkQueueMemory } from './work-queue.js';
import type { BlobResult } from './writer.js';

export interface LayerTask {
  readonly spec: LayerSpec;
  /** The file to create; undefined if digests and sizes are all that is wanted. */
  readonly path: string | undefined;
}

/** What every worker is started with. */
export interface WorkerData {
  /** Where the content of the layers lies. */
  readonly content: ContentLocation;
  readonly compression: Compression;
  /** Undefined if there is only one worker. */
  readonly workQueue: WorkQueueMemory | undefined;
}

export type WorkerRequest = WriteRequest | { readonly type: 'compress-for-others' };

/** Asks for the blob of one layer. */
export interface WriteRequest {
  readonly type: 'write';
  readonly spec: LayerColumns;
  readonly path: string | undefined;
}

export type WorkerReply =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'written'; readonly blob: BlobResult }
  | { readonly type: 'queue-closed' };

export interface WriteLayersOptions {
  /** Where the content of the layers lies. */
  readonly content: ContentLocation;
  readonly compression: Compression;
  /** Largest number of worker threads, at least 1; each writes one layer at a time. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Called when a layer begins; `task` is the index of its task. Bytes of tar are counted. */
  readonly onStart: (task: number) => WorkPart;
  /** Called with each blob as soon as it is written. */
  readonly onWritten?: ((task: number, blob: BlobResult) => Promise<void>) | undefined;
}

/**
 * The work from which a further worker pays off, in the unit of {@link expectedWork}: starting one
 * takes as long as compressing about this many bytes.
 */
const WORK_WORTH_A_WORKER = 4 << 20;
/** Headers, links and look-ups of one object cost about as much as compressing this many bytes. */
const WORK_PER_OBJECT = 4096;
/**
 * A small young generation is collected often. Otherwise blocks that are no longer used would add
 * up to 100 MB in each worker.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 3 };

/**
 * Writes all layers, the largest first. A worker for which no layer is left compresses blocks of
 * the layers that others write. The bytes do not depend on the number of workers. Results are in
 * the order of `tasks`. Fails as soon as one task fails. In either case no worker is left running.
 */
export async function writeLayers(
  tasks: readonly LayerTask[],
  options: WriteLayersOptions,
): Promise<BlobResult[]> {
  const { content, compression, signal, onStart, onWritten } = options;
  const results: BlobResult[] = [];
  if (tasks.length === 0) {
    return results;
  }

  const waiting = largestFirst(tasks);
  const workerCount = workerCountFor(tasks, options.jobs);
  const workQueue =
    workerCount > 1 ? createWorkQueue(await createCompressor(compression), workerCount) : undefined;
  let unfinishedCount = tasks.length;

  const runWorker = async (worker: Worker) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const part = onStart(next.index);
      const blob = await writeLayer(worker, next.task, part, signal);
      part.end();
      results[next.index] = blob;
      unfinishedCount--;
      if (unfinishedCount === 0 && workQueue !== undefined) {
        closeWorkQueue(workQueue);
      }
      await onWritten?.(next.index, blob);
    }
    if (unfinishedCount > 0 && workQueue !== undefined) {
      await compressForOthers(worker, signal);
    }
  };

  const workers = startWorkers(workerCount, { content, compression, workQueue });
  try {
    await Promise.all(workers.map(runWorker));
    return results;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function largestFirst(
  tasks: readonly LayerTask[],
): { readonly task: LayerTask; readonly index: number }[] {
  return tasks
    .map((task, index) => ({ task, index }))
    .sort((a, b) => expectedWork(b.task) - expectedWork(a.task) || a.index - b.index);
}

function workerCountFor(tasks: readonly LayerTask[], jobs: number): number {
  const work = tasks.reduce((sum, task) => sum + expectedWork(task), 0);
  return Math.max(1, Math.min(jobs, Math.ceil(work / WORK_WORTH_A_WORKER)));
}

/**
 * Returns the number of bytes to compress; other work is counted as the bytes that could be
 * compressed in its time.
 */
function expectedWork({ spec }: LayerTask): number {
  return spec.kind === 'commit'
    ? spec.directories.length * WORK_PER_OBJECT
    : spec.contentSize + spec.objects.length * WORK_PER_OBJECT;
}

function startWorkers(count: number, workerData: WorkerData): readonly Worker[] {
  const module = new URL('./worker.js', import.meta.url);
  const options = { workerData, resourceLimits: RESOURCE_LIMITS };
  return Array.from({ length: count }, () => new Worker(module, options));
}

function writeLayer(
  worker: Worker,
  { spec, path }: LayerTask,
  part: WorkPart,
  signal: AbortSignal,
): Promise<BlobResult> {
  const request: WorkerRequest = { type: 'write', spec: toColumns(spec), path };
  return runWorkerTask(worker, request, {
    name: 'writing layers',
    signal,
    onMessage: (reply: WorkerReply) => {
      if (reply.type === 'progress') {
        part.advance(reply.bytes);
      }
      return reply.type === 'written' ? reply.blob : undefined;
    },
  });
}

/** Lets `worker` compress blocks of the layers that others write, until all layers are written. */
async function compressForOthers(worker: Worker, signal: AbortSignal): Promise<void> {
  const request: WorkerRequest = { type: 'compress-for-others' };
  await runWorkerTask(worker, request, {
    name: 'writing layers',
    signal,
    onMessage: (reply: WorkerReply) => reply.type === 'queue-closed' || undefined,
  });
}
