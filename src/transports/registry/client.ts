/**
 * Sends requests to one registry: authenticates them, repeats them after temporary failures, and
 * reports the error messages of the registry.
 */
import { setMaxListeners } from 'node:events';
import { errnoOf, OstrataError } from '../../errors.js';
import { silentLogger } from '../../log.js';
import type { TransportOptions } from '../transport.js';
import { Agents } from './agents.js';
import { Authenticator } from './auth.js';
import { readCertificates } from './certificates.js';
import { credentialFiles, findCredentials, type RegistryCredentials } from './credentials.js';
import { HttpClient, type HttpRequest } from './http.js';
import { isThisMachine } from './proxy.js';
import { apiHost, type ImageReference } from './reference.js';
import { networkError, RequestError, speaksPlainHttp, statusError } from './request-error.js';
import { closedOnError, type HttpResponse, readMessage } from './response.js';
import { DEFAULT_RETRIES, type RetryPolicy, retry } from './retry.js';

export interface RegistryRequest extends Omit<HttpRequest, 'url'> {
  /** A path below `/v2/REPOSITORY/`, or a URL that the registry gave us. */
  readonly target: string | URL;
  /** The statuses of a successful response; others are errors. */
  readonly expected: readonly number[];
}

/** A new token may be refused once: it may have been issued before a scope was added. */
const MAX_REFUSALS = 2;

export class RegistryClient {
  readonly reference: ImageReference;
  readonly retryPolicy: RetryPolicy;
  readonly #http: HttpClient;
  readonly #agents: Agents;
  readonly #auth: Authenticator;
  readonly #authfile: string | undefined;
  readonly #credentials: () => Promise<RegistryCredentials | undefined>;
  /** The origin of the registry's API; no other receives credentials. */
  readonly #origin: URL;
  #hasResponded = false;
  readonly #closing = new AbortController();
  /** When the user was last told that a host is silent, in milliseconds. */
  #noticedAt = -Infinity;

  /**
   * Makes a client for the registry of `reference`. It connects only if that is needed to find out
   * whether the registry uses plain HTTP.
   * @param actions that are allowed by the scope: `pull` or `pull,push`
   */
  static async open(
    reference: ImageReference,
    actions: string,
    options: TransportOptions,
  ): Promise<RegistryClient> {
    const client = await RegistryClient.#connect(reference, options);
    client.addScope(reference.repository, actions);
    return client;
  }

  /** What is sent to this machine over plain HTTP does not pass any network. */
  static async #connect(
    reference: ImageReference,
    options: TransportOptions,
  ): Promise<RegistryClient> {
    const client = new RegistryClient(reference, 'https:', options);
    const { tlsVerify = isThisMachine(client.#origin) ? undefined : true } = options;
    if (tlsVerify === true) {
      return client;
    }
    const needsHttp = await client.closedOnError(() =>
      retry(client.retryPolicy, () => client.#needsHttp(tlsVerify)),
    );
    if (!needsHttp) {
      return client;
    }
    client.close();
    return new RegistryClient(reference, 'http:', options);
  }

  private constructor(
    reference: ImageReference,
    protocol: 'https:' | 'http:',
    options: TransportOptions,
  ) {
    this.reference = reference;
    this.#authfile = options.authfile;
    this.#origin = new URL(`${protocol}//${apiHost(reference.host)}`);

    const { retries = DEFAULT_RETRIES, log = silentLogger } = options;
    const signal = this.#ownSignal(options.signal);
    this.retryPolicy = { retries, log, signal };

    this.#agents = new Agents({
      certificates: once(() => readCertificates(reference.host, options.certDirectory)),
      tlsVerify: options.tlsVerify ?? true,
      origin: this.#origin.origin,
    });
    this.#http = new HttpClient({
      agents: this.#agents,
      signal,
      onRequest: () => {
        if (options.traffic) {
          options.traffic.requests++;
        }
      },
      onSilence: (...silence) => this.#reportSilence(...silence),
      stallTimeoutMs: options.stallTimeoutMs,
      noticeMs: options.noticeMs,
    });

    this.#credentials = once(
      async () => options.credentials ?? (await findCredentials(reference, options.authfile)),
    );
    this.#auth = new Authenticator({
      http: this.#http,
      host: reference.host,
      tlsVerify: options.tlsVerify,
      credentials: this.#credentials,
    });
  }

  /** From now on, also asks for the right to `actions` in another repository. */
  addScope(repository: string, actions: string): void {
    this.#auth.addScope(`repository:${repository}:${actions}`);
  }

  /** Sends a request, repeated as the retry policy says, and returns the response. */
  async request(request: RegistryRequest): Promise<HttpResponse> {
    return retry(this.retryPolicy, () => this.requestOnce(request));
  }

  /** Sends a request once and returns the response, which has one of the expected statuses. */
  async requestOnce({ target, expected, ...rest }: RegistryRequest): Promise<HttpResponse> {
    const url = this.#resolve(target);
    const action = `${rest.method} ${url.origin}${url.pathname}`;
    try {
      const response = await this.#sendAuthenticated({ ...rest, url });
      this.#hasResponded = true;
      if (expected.includes(response.status)) {
        return response;
      }
      throw await this.#unexpectedStatus(action, response);
    } catch (error) {
      throw this.failure(
        action,
        error instanceof RequestError ? await this.#withAdvice(error) : error,
      );
    }
  }

  /** Returns the error for what failed during `action`. It contains no secrets. */
  failure(action: string, error: unknown): unknown {
    if (this.retryPolicy.signal.aborted) {
      return new OstrataError('CANCELLED', `${action}: cancelled`, { cause: error });
    }
    if (error instanceof OstrataError) {
      return this.#redacted(error);
    }
    return this.#redacted(networkError(action, error, this.#hasResponded));
  }

  /** Ends all requests and closes the connections that are kept for further ones. */
  close(): void {
    this.#closing.abort();
    this.#agents.destroy();
  }

  /** Returns what `body` returns; if it fails, closes the client. */
  async closedOnError<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Returns a signal that fires with the caller's and may have one listener for each request. */
  #ownSignal(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal;
    const own = signal ? AbortSignal.any([signal, closing]) : closing;
    setMaxListeners(0, own);
    return own;
  }

  /** Warns once for all requests that wait at the same time. */
  #reportSilence(host: string, noticeMs: number, timeoutMs: number): void {
    const now = performance.now();
    if (now - this.#noticedAt < noticeMs) {
      return;
    }
    this.#noticedAt = now;
    const { log, retries } = this.retryPolicy;
    log.warn(
      `still waiting for ${host}, which has sent nothing for ${noticeMs / 1000} s ` +
        `(at most ${retries + 1} attempts of ${timeoutMs / 1000} s)`,
    );
  }

  #resolve(target: string | URL): URL {
    return target instanceof URL
      ? target
      : new URL(`/v2/${this.reference.repository}/${target}`, this.#origin);
  }

  #isOwn(url: URL): boolean {
    return url.origin === this.#origin.origin;
  }

  async #sendAuthenticated(request: HttpRequest): Promise<HttpResponse> {
    if (!this.#isOwn(request.url)) {
      // The registry gave us a URL on another host, which must not see our credentials.
      return this.#http.send(request, undefined);
    }
    for (let refusals = 0; ; refusals++) {
      const header = await this.#auth.header();
      const response = await this.#http.send(request, header);
      const isRefused = response.status === 401 && this.#isOwn(response.url);
      if (!isRefused || refusals === MAX_REFUSALS) {
        return response;
      }
      const canRetry = await closedOnError(response, () =>
        this.#auth.handleRefusal(response, header),
      );
      if (!canRetry) {
        return response;
      }
      await readMessage(response);
    }
  }

  async #unexpectedStatus(action: string, response: HttpResponse): Promise<RequestError> {
    const { status, headers } = response;
    const body = await readMessage(response);
    return statusError(action, status, headers, body);
  }

  /** Returns `error`, if the registry refuses the user, with what the user can do. */
  async #withAdvice(error: RequestError): Promise<RequestError> {
    if (error.status !== 401 && error.status !== 403) {
      return error;
    }
    const { host } = this.reference;
    const credentials = await this.#credentials();
    const user = credentials && 'username' in credentials ? ` of ${credentials.username}` : '';
    const cause =
      credentials === undefined
        ? `no credentials for ${host} in ${credentialFiles(this.#authfile).join(', ')}`
        : `the credentials${user} do not suffice`;
    return error.withMessage(
      `${error.message} (${cause}; log in with \`podman login ${host}\` or use --creds)`,
    );
  }

  /** Finds out, without credentials, whether requests must be sent over plain HTTP. */
  async #needsHttp(tlsVerify: boolean | undefined): Promise<boolean> {
    const url = new URL('/v2/', this.#origin);
    try {
      await readMessage(await this.#http.send({ method: 'GET', url }, undefined));
      return false;
    } catch (error) {
      // A server that does not respond to TLS at all will not respond to HTTP either.
      if (this.retryPolicy.signal.aborted || errnoOf(error) === 'ETIMEDOUT') {
        throw this.failure(`connecting to ${this.reference.host}`, error);
      }
      return tlsVerify === false || speaksPlainHttp(error);
    }
  }

  #redacted(error: OstrataError): OstrataError {
    const message = this.#auth.redact(error.message);
    if (message === error.message) {
      return error;
    }
    return error instanceof RequestError
      ? error.withMessage(message)
      : new OstrataError(error.code, message);
  }
}

/**
 * Returns a function that calls `make` at its first call and then always returns the same value.
 */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
