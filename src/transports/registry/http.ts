/** One HTTP request: redirects, time limits, bodies that stream. It knows nothing of registries. */
import http, {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import https from 'node:https';
import type { ByteStream } from '../../bytes/stream.js';
import { OstrataError, wrapError } from '../../errors.js';
import type { Agents } from './agents.js';

/** Without a byte getting through, in milliseconds; how long the whole takes does not matter. */
const STALL_TIMEOUT = 60_000;
/** Times that long for the answer once all is sent: a registry may first move a large blob to its storage. */
const ANSWER_FACTOR = 5;
const MAX_REDIRECTS = 5;
/** Of a body that is only read to use the connection again, or for its message. */
export const MAX_MESSAGE_SIZE = 64 << 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const REPEATING_REDIRECTS = new Set([307, 308]);

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: HttpBody | undefined;
  /** The body is for the origin of `url` alone, as `authorization` is: a redirect elsewhere is an error. */
  readonly isSecret?: boolean | undefined;
}
export interface HttpBody {
  /** Bytes that {@link stream} gives. */
  readonly length: number;
  /** From the start, each time it is called. */
  stream(): ByteStream;
}
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where it came from in the end. */
  readonly url: URL;
  readonly message: IncomingMessage & { readonly req: ClientRequest };
  /** For {@link receive}. */
  readonly stallTimeout: number;
}

export interface HttpSettings {
  readonly agents: Agents;
  readonly signal: AbortSignal;
  /** Called for each request, redirected ones too. */
  readonly onRequest: () => void;
  readonly stallTimeout?: number | undefined;
}

export class HttpClient {
  readonly #agents: Agents;
  readonly #signal: AbortSignal;
  readonly #onRequest: () => void;
  readonly #stallTimeout: number;

  constructor({ agents, signal, onRequest, stallTimeout = STALL_TIMEOUT }: HttpSettings) {
    this.#agents = agents;
    this.#signal = signal;
    this.#onRequest = onRequest;
    this.#stallTimeout = stallTimeout;
  }

  /** Resolves with the headers of the last answer. `authorization` is for the origin of `request.url` alone. */
  async send(request: HttpRequest, authorization: string | undefined): Promise<HttpResponse> {
    const { method, headers, body } = request;
    let { url } = request;
    for (let redirects = 0; ; redirects++) {
      const own =
        url.origin === request.url.origin && authorization !== undefined ? { authorization } : {};
      const message = await this.#sendOnce(method, url, { ...headers, ...own }, body);
      const status = message.statusCode as number;
      const response = {
        status,
        headers: message.headers,
        url,
        message,
        stallTimeout: this.#stallTimeout,
      };
      const target = redirectTarget(method, response);
      if (target === undefined) {
        return response;
      }
      await readAll(response, MAX_MESSAGE_SIZE).catch(() => {});
      if (request.isSecret && target.origin !== request.url.origin) {
        throw new OstrataError(
          'IO',
          `${request.url.origin} sends us to ${target.origin} with what is secret`,
        );
      }
      if (redirects === MAX_REDIRECTS) {
        throw new OstrataError('LIMIT', `more than ${MAX_REDIRECTS} redirects`);
      }
      url = target;
    }
  }

  #sendOnce(
    method: string,
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: HttpBody | undefined,
  ): Promise<HttpResponse['message']> {
    this.#signal.throwIfAborted();
    const route = this.#agents.route(url);
    const length: Record<string, string> = body ? { 'content-length': String(body.length) } : {};
    if (!body && method !== 'GET' && method !== 'HEAD') {
      length['content-length'] = '0';
    }
    const request = (route.isTls ? https : http).request({
      ...route.options,
      method,
      headers: { 'user-agent': 'ostrata', ...headers, ...length, ...route.headers },
      signal: this.#signal,
    });
    this.#onRequest();
    const watchdog = new Watchdog(this.#stallTimeout, (error) => request.destroy(error));
    return new Promise((resolve, reject) => {
      watchdog.start();
      request.on('response', (response) => {
        watchdog.stop();
        resolve(response as HttpResponse['message']);
      });
      request.on('error', (error) => {
        watchdog.stop();
        reject(error);
      });
      request.on('close', () => {
        watchdog.stop();
        reject(new Error('the connection was closed'));
      });
      if (!body) {
        return void request.end();
      }
      sendBody(request, body, watchdog).catch((error) => {
        reject(wrapError('reading what is uploaded', error));
        request.destroy();
      });
    });
  }
}

/** Sends until all is sent or an answer is there. Throws what reading the body throws; the rest `request` reports. */
async function sendBody(request: ClientRequest, body: HttpBody, watchdog: Watchdog): Promise<void> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  request.on('response', over).on('close', over);
  let sent = 0;
  for await (const chunk of body.stream()) {
    sent += chunk.length;
    if (sent > body.length) {
      break;
    }
    if (isOver) {
      return;
    }
    watchdog.start();
    // The next chunk may be in the same memory: this one has to be gone first.
    await new Promise<void>((resolve) => {
      const done = () => {
        request.off('close', done);
        resolve();
      };
      request.on('close', done);
      request.write(chunk, done);
    });
    if (isOver) {
      return;
    }
    watchdog.stop();
  }
  if (sent !== body.length) {
    throw new OstrataError(
      'CORRUPT',
      `${sent > body.length ? 'more than' : sent} bytes instead of ${body.length}`,
    );
  }
  watchdog.start(ANSWER_FACTOR);
  request.end();
}

function redirectTarget(method: string, { status, headers, url }: HttpResponse): URL | undefined {
  const isRead = method === 'GET' || method === 'HEAD';
  if (!(isRead ? REDIRECTS : REPEATING_REDIRECTS).has(status) || headers.location === undefined) {
    return undefined;
  }
  return resolveLocation(headers.location, url);
}

/** A `Location` as it may be followed. */
export function resolveLocation(location: string, base: URL): URL {
  let target: URL;
  try {
    target = new URL(location, base);
  } catch {
    throw new OstrataError('CORRUPT', 'the registry sends us to what is no URL');
  }
  if (target.protocol !== 'https:' && target.protocol !== base.protocol) {
    throw new OstrataError(
      'IO',
      `the registry sends us from ${base.origin} to ${target.origin}, which is not secure`,
    );
  }
  target.username = '';
  target.password = '';
  return target;
}

/** The body of a response; throws where it breaks off or stalls. Closing it early closes the connection. */
export async function* receive({
  message,
  stallTimeout,
}: HttpResponse): AsyncGenerator<Uint8Array> {
  const watchdog = new Watchdog(stallTimeout, (error) => message.destroy(error));
  try {
    const iterator = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    for (;;) {
      watchdog.start();
      const { done, value } = await iterator.next();
      watchdog.stop();
      if (done) {
        break;
      }
      yield value;
    }
    if (!message.complete) {
      throw new Error('the answer broke off');
    }
  } finally {
    watchdog.stop();
    if (!message.complete || !message.req.writableFinished) {
      message.destroy();
    }
  }
}

/** All of a small body; `LIMIT` above `limit` bytes. */
export async function readAll(response: HttpResponse, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of receive(response)) {
    size += chunk.length;
    if (size > limit) {
      throw new OstrataError('LIMIT', `the answer has more than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Ends what got no further for a while. */
class Watchdog {
  readonly #timeout: number;
  readonly #onExpiry: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(timeout: number, onExpiry: (error: Error) => void) {
    this.#timeout = timeout;
    this.#onExpiry = onExpiry;
  }

  start(factor = 1): void {
    clearTimeout(this.#timer);
    const timeout = this.#timeout * factor;
    this.#timer = setTimeout(
      () => this.#onExpiry(new Error(`nothing happened for ${timeout / 1000} s`)),
      timeout,
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
