/**
 * Sends single HTTP requests, with redirects, timeouts and streamed bodies. Nothing here is
 * specific to registries.
 */
import http, {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import https from 'node:https';
import type { ByteStream } from '../../bytes/stream.js';
import { OstrataError, wrapError } from '../../errors.js';
import type { Agents } from './agents.js';

/** The longest time without any transferred byte. The whole transfer may take any time. */
const STALL_TIMEOUT_MS = 60_000;
/**
 * Once the whole body is sent, the response may take this many times longer: a registry may first
 * move a large blob into its storage.
 */
const RESPONSE_FACTOR = 5;
const MAX_REDIRECTS = 5;
/**
 * Limit for a body that is read only for its error message, or only to make the connection usable
 * for the next request.
 */
export const MAX_MESSAGE_SIZE = 64 << 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Redirects after which a request with a body may be repeated. */
const REPEATING_REDIRECTS = new Set([307, 308]);

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: HttpBody | undefined;
  /** Whether the body is only for the origin of `url`: a redirect elsewhere is then an error. */
  readonly isSecret?: boolean | undefined;
}

export interface HttpBody {
  /** Size of the body in bytes. */
  readonly length: number;
  /** Streams the body from its start, each time it is called. */
  stream(): ByteStream;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The URL that responded, after all redirects. */
  readonly url: URL;
  readonly message: ResponseMessage;
  /** The longest time without any received byte, for {@link receive}. */
  readonly stallTimeoutMs: number;
}

/** The types of Node do not know that the message of a client has its request. */
type ResponseMessage = IncomingMessage & { readonly req: ClientRequest };

export interface HttpSettings {
  readonly agents: Agents;
  readonly signal: AbortSignal;
  /** Called for each request, also for those that follow a redirect. */
  readonly onRequest: () => void;
  readonly stallTimeoutMs?: number | undefined;
}

export class HttpClient {
  readonly #agents: Agents;
  readonly #signal: AbortSignal;
  readonly #onRequest: () => void;
  readonly #stallTimeoutMs: number;

  constructor({ agents, signal, onRequest, stallTimeoutMs = STALL_TIMEOUT_MS }: HttpSettings) {
    this.#agents = agents;
    this.#signal = signal;
    this.#onRequest = onRequest;
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  /**
   * Sends a request and follows redirects. Resolves when the headers of the last response are
   * there.
   * @param authorization is sent only to the origin of `request.url`
   */
  async send(request: HttpRequest, authorization: string | undefined): Promise<HttpResponse> {
    let { url } = request;
    for (let redirects = 0; ; redirects++) {
      const headers = { ...request.headers };
      if (authorization !== undefined && url.origin === request.url.origin) {
        headers.authorization = authorization;
      }
      const response = await this.#sendOnce(request.method, url, headers, request.body);

      const target = redirectTarget(request.method, response);
      if (target === undefined) {
        return response;
      }
      await readAll(response, MAX_MESSAGE_SIZE).catch(() => {});
      checkRedirect(request, target, redirects);
      url = target;
    }
  }

  async #sendOnce(
    method: HttpRequest['method'],
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: HttpBody | undefined,
  ): Promise<HttpResponse> {
    this.#signal.throwIfAborted();
    const route = this.#agents.route(url);
    const request = (route.isTls ? https : http).request({
      ...route.options,
      method,
      headers: {
        'user-agent': 'ostrata',
        ...headers,
        ...lengthHeader(method, body),
        ...route.headers,
      },
      signal: this.#signal,
    });
    this.#onRequest();

    const message = await exchange(request, body, this.#stallTimeoutMs);
    return {
      status: message.statusCode ?? 0,
      headers: message.headers,
      url,
      message,
      stallTimeoutMs: this.#stallTimeoutMs,
    };
  }
}

function lengthHeader(
  method: HttpRequest['method'],
  body: HttpBody | undefined,
): Record<string, string> {
  if (body === undefined && (method === 'GET' || method === 'HEAD')) {
    return {};
  }
  return { 'content-length': String(body?.length ?? 0) };
}

/** Throws if a redirect must not be followed. */
function checkRedirect(request: HttpRequest, target: URL, redirects: number): void {
  const { origin } = request.url;
  if (request.isSecret && target.origin !== origin) {
    throw new OstrataError(
      'IO',
      `${origin} redirects a request that contains a secret to ${target.origin}`,
    );
  }
  if (redirects === MAX_REDIRECTS) {
    throw new OstrataError('LIMIT', `more than ${MAX_REDIRECTS} redirects`);
  }
}

/** Sends the body of a request and resolves with the head of the response. */
function exchange(
  request: ClientRequest,
  body: HttpBody | undefined,
  stallTimeoutMs: number,
): Promise<ResponseMessage> {
  const watchdog = new Watchdog(stallTimeoutMs, (error) => request.destroy(error));
  return new Promise((resolve, reject) => {
    watchdog.start();
    request.on('response', (response) => {
      watchdog.stop();
      resolve(response as ResponseMessage);
    });
    request.on('error', (error) => {
      watchdog.stop();
      reject(error);
    });
    request.on('close', () => {
      watchdog.stop();
      reject(new Error('the connection was closed'));
    });

    if (body === undefined) {
      request.end();
      return;
    }
    sendBody(request, body, watchdog).catch((error) => {
      reject(wrapError('reading the data to upload', error));
      request.destroy();
    });
  });
}

/**
 * Sends a body until it ends or the response arrives. Throws only the errors of reading the body;
 * `request` reports those of sending it.
 */
async function sendBody(request: ClientRequest, body: HttpBody, watchdog: Watchdog): Promise<void> {
  let isOver = false;
  const stop = () => {
    isOver = true;
  };
  request.on('response', stop).on('close', stop);

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
    await writeChunk(request, chunk);
    if (isOver) {
      return;
    }
    watchdog.stop();
  }

  if (sent !== body.length) {
    const size = sent > body.length ? 'more than' : sent;
    throw new OstrataError('CORRUPT', `${size} bytes instead of ${body.length}`);
  }
  // A response that is already here has stopped the watchdog for good.
  if (!isOver) {
    watchdog.start(RESPONSE_FACTOR);
  }
  request.end();
}

/** Resolves when the chunk has been sent: only then may its memory be used for the next one. */
function writeChunk(request: ClientRequest, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      request.off('close', done);
      resolve();
    };
    request.on('close', done);
    request.write(chunk, done);
  });
}

function redirectTarget(
  method: HttpRequest['method'],
  { status, headers, url }: HttpResponse,
): URL | undefined {
  const isRead = method === 'GET' || method === 'HEAD';
  const followed = isRead ? REDIRECTS : REPEATING_REDIRECTS;
  if (!followed.has(status) || headers.location === undefined) {
    return undefined;
  }
  return resolveLocation(headers.location, url);
}

/**
 * Returns the URL of a header `Location`, without any user and password in it. Throws if it is not
 * a URL (`CORRUPT`) or leads from HTTPS to a protocol that is not secure (`IO`).
 */
export function resolveLocation(location: string, base: URL): URL {
  let target: URL;
  try {
    target = new URL(location, base);
  } catch {
    throw new OstrataError('CORRUPT', 'the registry redirects to an invalid URL');
  }
  if (target.protocol !== 'https:' && target.protocol !== base.protocol) {
    throw new OstrataError(
      'IO',
      `the registry redirects from ${base.origin} to ${target.origin}, which is not secure`,
    );
  }
  target.username = '';
  target.password = '';
  return target;
}

/**
 * Streams the body of a response. Throws if it breaks off or stalls. A consumer that stops early
 * closes the connection.
 */
export async function* receive({
  message,
  stallTimeoutMs,
}: HttpResponse): AsyncGenerator<Uint8Array> {
  const watchdog = new Watchdog(stallTimeoutMs, (error) => message.destroy(error));
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

/** Returns all bytes of a small body; throws `LIMIT` if it has more than `limit`. */
export async function readAll(response: HttpResponse, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of receive(response)) {
    size += chunk.length;
    if (size > limit) {
      throw new OstrataError('LIMIT', `the response has more than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Calls `onExpiry` with an error unless it is stopped or started again in time. */
class Watchdog {
  readonly #timeoutMs: number;
  readonly #onExpiry: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, onExpiry: (error: Error) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onExpiry = onExpiry;
  }

  /** @param factor multiplies the timeout */
  start(factor = 1): void {
    clearTimeout(this.#timer);
    const timeoutMs = this.#timeoutMs * factor;
    this.#timer = setTimeout(() => {
      this.#onExpiry(new Error(`nothing happened for ${timeoutMs / 1000} s`));
    }, timeoutMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
