/**
 * Worker threads that read streams, one at a time, e.g. the blob of a layer. The stream itself runs
 * in the main thread, which passes on the bytes; at most {@link WINDOW_SIZE} of them are on their
 * way.
 */
import { parentPort, type Worker } from 'node:worker_threads';
import type { ByteStream } from '../bytes/stream.js';
import { inContextAsync } from '../errors.js';
import { CreditWindow } from './credit-window.js';
import { type FailedReply, failedReply, receiveRequests, runWorkerTask } from './worker-task.js';

/** Bytes of a stream that may be on their way to the worker. */
const WINDOW_SIZE = 4 << 20;

/** To the worker: what to do with the stream, then the parts of the stream, then its end. */
type StreamRequest<Task> =
  | { readonly type: 'task'; readonly task: Task }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'end' };

/**
 * From the worker, unless it fails: how many bytes of the stream it took, repeatedly, then the
 * result.
 */
type StreamReply<Result> =
  | { readonly type: 'taken'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: Result };

/** How one stream is read. */
export interface StreamTaskOptions {
  readonly signal: AbortSignal;
  /** Called with the number of bytes of the stream that the thread took. */
  readonly onProgress: (bytes: number) => void;
}

/** A thread that reads one stream at a time; its module calls {@link receiveStreams}. */
export class StreamWorker<Task, Result> {
  readonly #worker: Worker;
  readonly #name: string;

  /** @param name what the thread does, a gerund phrase: the context of its errors */
  constructor(worker: Worker, name: string) {
    this.#worker = worker;
    this.#name = name;
  }

  /**
   * Returns what the thread made of `stream`. Fails as soon as the thread or the stream fails, or
   * the signal is aborted; by then the thread has ended.
   * @param task plain data
   */
  async run(
    task: Task,
    stream: ByteStream,
    { signal, onProgress }: StreamTaskOptions,
  ): Promise<Result> {
    const window = new CreditWindow(WINDOW_SIZE);
    const onMessage = (reply: StreamReply<Result>) => {
      if (reply.type === 'done') {
        return reply;
      }
      window.taken(reply.bytes);
      onProgress(reply.bytes);
      return undefined;
    };

    const request: StreamRequest<Task> = { type: 'task', task };
    const reading = runWorkerTask(this.#worker, request, { name: this.#name, signal, onMessage });
    const sending = inContextAsync('fetching', () => this.#send(stream, window));
    try {
      const [{ result }] = await Promise.all([reading, sending]);
      return result;
    } catch (error) {
      // Ends the side that did not fail: a thread that waits for more bytes, or a stream that goes
      // on.
      window.close();
      await this.terminate();
      throw error;
    }
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  async #send(stream: ByteStream, window: CreditWindow): Promise<void> {
    for await (const chunk of stream) {
      if (window.isClosed) {
        return;
      }
      // Copied, because chunks of a stream may share a buffer, and a buffer that is transferred is
      // lost here.
      const bytes = new Uint8Array(chunk);
      this.#post({ type: 'data', bytes }, [bytes.buffer]);
      await window.send(chunk.length);
    }
    this.#post({ type: 'end' });
  }

  #post(request: StreamRequest<Task>, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }
}

/** A stream whose parts arrive as messages. */
class ArrivingStream {
  /** Parts that have arrived and are not yet read; undefined stands for the end. */
  readonly #parts: (Uint8Array | undefined)[] = [];
  readonly #onTaken: (bytes: number) => void;
  #wake = () => {};

  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  push(part: Uint8Array | undefined): void {
    this.#parts.push(part);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#parts.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const part = this.#parts.shift();
      if (part === undefined) {
        return;
      }
      yield part;
      this.#onTaken(part.length);
    }
  }
}

/**
 * In a worker thread: calls `read` for each stream; what it returns is the result of the task.
 * @param name put in front of errors other than an OstrataError
 */
export function receiveStreams<Task, Result>(
  name: string,
  read: (task: Task, stream: AsyncIterable<Uint8Array>) => Promise<Result>,
): void {
  const reply = (message: StreamReply<Result> | FailedReply) => parentPort?.postMessage(message);
  const onTaken = (bytes: number) => reply({ type: 'taken', bytes });
  let stream = new ArrivingStream(onTaken);

  const run = async (task: Task) => {
    try {
      reply({ type: 'done', result: await read(task, stream) });
    } catch (error) {
      reply(failedReply(name, error));
    }
  };
  receiveRequests((request: StreamRequest<Task>) => {
    switch (request.type) {
      case 'task':
        stream = new ArrivingStream(onTaken);
        void run(request.task);
        break;
      case 'data':
        stream.push(request.bytes);
        break;
      case 'end':
        stream.push(undefined);
        break;
    }
  });
}
