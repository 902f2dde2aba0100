/** One task of a worker thread: a request, any number of replies, and an end in every case. */
import { parentPort, type Worker } from 'node:worker_threads';
import { type ErrorCode, inContext, OstrataError, wrapError } from '../errors.js';
import { keepYoungGenerationInWorker } from './memory.js';

/** The reply of a worker whose task failed; see {@link failedReply}. */
export interface FailedReply {
  readonly type: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
}

export interface WorkerTaskOptions<Reply, Result> {
  /** What the task does, a gerund phrase such as `writing layers`: the context of its errors. */
  readonly name: string;
  /** Ends the task with `CANCELLED`; the worker goes on and has to be terminated by the caller. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with each reply except a {@link FailedReply}. Returns the result of the task, which ends
   * it, or undefined if further replies are to come.
   */
  readonly onMessage: (reply: Reply) => Result | undefined;
}

/** `Worker.threadId` of a thread that has ended. */
const ENDED_THREAD = -1;

/**
 * Posts `request` to `worker` and returns what `onMessage` makes of the replies. A worker does one
 * task at a time: the caller gives it the next one once this one has ended.
 *
 * Rejects when the worker replies that it failed (with the code and message of the reply), when it
 * throws, when it ends or has ended before the result, when a message cannot be serialized or
 * deserialized, when `onMessage` throws, and with `CANCELLED` when `signal` fires. No listener is
 * left on the worker or the signal. After a rejection, the worker may be in the middle of the task.
 */
export async function runWorkerTask<Reply, Result>(
  worker: Worker,
  request: unknown,
  options: WorkerTaskOptions<Reply, Result>,
): Promise<Result> {
  const { name, signal } = options;
  if (signal?.aborted) {
    throw cancelled(name);
  }
  if (worker.threadId === ENDED_THREAD) {
    // Waiting for a reply would never end: messages to a thread that has ended are dropped.
    throw new OstrataError('IO', `${name}: the worker thread has already ended`);
  }
  inContext(`${name}: sending a request`, () => worker.postMessage(request));
  return receiveResult(worker, options);
}

function receiveResult<Reply, Result>(
  worker: Worker,
  { name, signal, onMessage }: WorkerTaskOptions<Reply, Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stopListening = () => {
      worker.off('message', onReply).off('messageerror', onUnreadable);
      worker.off('error', onError).off('exit', onExit);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      stopListening();
      reject(error);
    };
    const onReply = (reply: Reply | FailedReply) => {
      try {
        const result = onMessage(successful(reply));
        if (result !== undefined) {
          stopListening();
          resolve(result);
        }
      } catch (error) {
        fail(error);
      }
    };
    const onUnreadable = (error: unknown) => fail(wrapError(`${name}: reading a reply`, error));
    const onError = (error: unknown) => fail(wrapError(name, error));
    const onExit = (exitCode: number) =>
      fail(new OstrataError('IO', `${name}: the worker thread ended with exit code ${exitCode}`));
    const onAbort = () => fail(cancelled(name));

    worker.on('message', onReply).on('messageerror', onUnreadable);
    worker.on('error', onError).on('exit', onExit);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function cancelled(name: string): OstrataError {
  return new OstrataError('CANCELLED', `${name}: cancelled`);
}

/** Returns `reply`, or throws what a {@link FailedReply} says. */
function successful<Reply>(reply: Reply | FailedReply): Reply {
  if (isFailedReply(reply)) {
    throw new OstrataError(reply.code, reply.message);
  }
  return reply;
}

function isFailedReply(reply: unknown): reply is FailedReply {
  return typeof reply === 'object' && reply !== null && 'type' in reply && reply.type === 'failed';
}

/**
 * The reply of a worker whose task failed with `error`.
 * @param context put in front of errors other than an OstrataError, which say little by themselves
 */
export function failedReply(context: string, error: unknown): FailedReply {
  const { code, message } = error instanceof OstrataError ? error : wrapError(context, error);
  return { type: 'failed', code, message };
}

/**
 * In a worker thread: gives each request of the other thread to `onRequest`. A request that cannot
 * be deserialized ends the worker, and with it the task; by default Node would ignore it silently.
 */
export function receiveRequests<Request>(onRequest: (request: Request) => void): void {
  keepYoungGenerationInWorker();
  parentPort?.on('message', onRequest).on('messageerror', (error) => {
    throw wrapError('reading a request', error);
  });
}
