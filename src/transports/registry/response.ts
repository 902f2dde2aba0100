/** Responses of HTTP servers: streams and reads their bodies, within bounds of time and size. */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { OstrataError } from '../../errors.js';
import { timeoutError, Watchdog, type WatchdogSettings } from './watchdog.js';

/**
 * A document, and the response to a request with a body, may take this many times the stall
 * timeout: a registry may first move a large blob into its storage.
 */
export const RESPONSE_FACTOR = 5;
/**
 * Limits for a body that is read only for its error message, or only to make the connection usable
 * for the next request.
 */
export const MAX_MESSAGE_SIZE = 64 << 10;
const MESSAGE_TIMEOUT_MS = 2000;

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The URL that responded, after all redirects. */
  readonly url: URL;
  readonly message: ResponseMessage;
  /** What happens if no byte arrives for a long time. */
  readonly watchdog: WatchdogSettings;
}

/** The types of Node do not know that the message of a client has its request. */
export type ResponseMessage = IncomingMessage & { readonly req: ClientRequest };

/**
 * Streams the body of a response. Throws if it breaks off or stalls. A consumer that stops early
 * closes the connection.
 */
export async function* receive({
  message,
  watchdog: settings,
}: HttpResponse): AsyncGenerator<Uint8Array> {
  const watchdog = new Watchdog(settings, (error) => message.destroy(error));
  try {
    const iterator: AsyncIterator<Uint8Array> = message[Symbol.asyncIterator]();
    for (;;) {
      // The watchdog runs only while we wait for the network, not while the consumer works.
      watchdog.start();
      const { done, value } = await iterator.next();
      watchdog.stop();
      if (done) {
        break;
      }
      yield value;
    }
    if (!message.complete) {
      throw new Error('the response broke off');
    }
  } finally {
    watchdog.stop();
    if (!message.complete || !message.req.writableFinished) {
      message.destroy();
    }
  }
}

/**
 * Returns all bytes of a small body; throws `LIMIT` if it has more than `limit`, and another error
 * if it takes too long, even if some bytes go on arriving.
 */
export async function readAll(response: HttpResponse, limit: number): Promise<Uint8Array> {
  const timeoutMs = response.watchdog.stallTimeoutMs * RESPONSE_FACTOR;
  const error = timeoutError(`the response is not complete after ${timeoutMs / 1000} s`);
  const deadline = setTimeout(() => response.message.destroy(error), timeoutMs);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of receive(response)) {
      size += chunk.length;
      if (size > limit) {
        throw new OstrataError('LIMIT', `the response has more than ${limit} bytes`);
      }
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(deadline);
  }
  return Buffer.concat(chunks);
}

/**
 * Returns what can be had of a body that is only a message, and closes the connection if that is
 * not all of it. Never throws.
 */
export async function readMessage(response: HttpResponse): Promise<Uint8Array> {
  const deadline = setTimeout(() => response.message.destroy(), MESSAGE_TIMEOUT_MS);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of receive(response)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_MESSAGE_SIZE) {
        break;
      }
    }
  } catch {
    // The message is cut short, which is better than none.
  } finally {
    clearTimeout(deadline);
  }
  return Buffer.concat(chunks);
}

/** Returns what `body` returns; if it throws, closes the connection, which nobody will read. */
export async function closedOnError<T>(
  { message }: HttpResponse,
  body: () => T | Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    message.destroy();
    throw error;
  }
}
