/**
 * Sends single HTTP requests, with redirects, timeouts and streamed bodies. Nothing here is
 * specific to registries.
 */
import http, { type ClientRequest } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { ByteStream } from '../../bytes/stream.js';
import { OstrataError, wrapError } from '../../errors.js';
import type { Agents } from './agents.js';
import {
  closedOnError,
  type HttpResponse,
  RESPONSE_FACTOR,
  type ResponseMessage,
  readMessage,
} from './response.js';
import { Watchdog, type WatchdogSettings } from './watchdog.js';

/** The longest time without any transferred byte. The whole transfer may take any time. */
const STALL_TIMEOUT_MS = 60_000;
/** The time without any transferred byte after which the user is told about it. */
const NOTICE_MS = 10_000;
const MAX_REDIRECTS = 5;
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
  /** The longest time without any transferred byte, if it is not that of the client. */
  readonly stallTimeoutMs?: number | undefined;
}

export interface HttpBody {
  /** Size of the body in bytes. */
  readonly length: number;
  /** Streams the body from its start, each time it is called. */
  stream(): ByteStream;
}

export interface HttpSettings {
  readonly agents: Agents;
  readonly signal: AbortSignal;
  /** Called for each request, also for those that follow a redirect. */
  readonly onRequest: () => void;
  /** Called if a host has been silent for some time. `timeoutMs` is the whole wait. */
  readonly onSilence: (host: string, noticeMs: number, timeoutMs: number) => void;
  readonly stallTimeoutMs?: number | undefined;
  readonly noticeMs?: number | undefined;
}

export class HttpClient {
  readonly #settings: HttpSettings;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
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
      const response = await this.#sendOnce(request, url, headers);

      const target = await closedOnError(response, () => redirectTarget(request.method, response));
      if (target === undefined) {
        return response;
      }
      await readMessage(response);
      checkRedirect(request, target, redirects);
      url = target;
    }
  }

  async #sendOnce(
    { method, body, stallTimeoutMs }: HttpRequest,
    url: URL,
    headers: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    const { agents, signal, onRequest } = this.#settings;
    signal.throwIfAborted();
    const route = agents.route(url);
    const request = (route.isTls ? https : http).request({
      ...route.options,
      method,
      headers: {
        'user-agent': 'ostrata',
        ...headers,
        ...lengthHeader(method, body),
        ...route.headers,
      },
      signal,
    });
    onRequest();

    const watchdog = this.#watchdogSettings(url.host, stallTimeoutMs);
    const message = await exchange(request, body, watchdog);
    return { status: message.statusCode ?? 0, headers: message.headers, url, message, watchdog };
  }

  #watchdogSettings(
    host: string,
    stallTimeoutMs = this.#settings.stallTimeoutMs ?? STALL_TIMEOUT_MS,
  ): WatchdogSettings {
    const { onSilence, noticeMs = NOTICE_MS } = this.#settings;
    return {
      stallTimeoutMs,
      noticeMs,
      onSilence: (timeoutMs) => onSilence(host, noticeMs, timeoutMs),
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
  settings: WatchdogSettings,
): Promise<ResponseMessage> {
  const watchdog = new Watchdog(settings, (error) => request.destroy(error));
  return new Promise((resolve, reject) => {
    watchdog.start();
    request.on('response', (response) => {
      watchdog.stop();
      resolve(response as ResponseMessage);
    });
    request.on('socket', toleratingErrors);
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

const tolerant = new WeakSet<Socket>();

/**
 * Keeps an error of `socket` from ending the process in the moment between two requests, when Node
 * has no listener for it: a signal that fires then destroys the socket with an error.
 */
function toleratingErrors(socket: Socket): void {
  if (!tolerant.has(socket)) {
    tolerant.add(socket);
    socket.on('error', () => {});
  }
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
