/** Requests to one registry: authenticated, tried again, errors in its own words. */
import { setMaxListeners } from 'node:events';
import { OstrataError } from '../../errors.js';
import { silentLogger } from '../../log.js';
import type { TransportOptions } from '../transport.js';
import { Agents } from './agents.js';
import { Authenticator } from './auth.js';
import { readCertificates } from './certificates.js';
import { findCredentials, type RegistryCredentials } from './credentials.js';
import { networkError, RequestError, statusError } from './errors.js';
import {
  HttpClient,
  type HttpRequest,
  type HttpResponse,
  MAX_MESSAGE_SIZE,
  readAll,
} from './http.js';
import { apiHost, type ImageReference } from './reference.js';
import { DEFAULT_RETRIES, Retries, type RetryPolicy } from './retry.js';

export interface RegistryRequest extends Omit<HttpRequest, 'url'> {
  /** Below `/v2/REPOSITORY/`, or where the registry said. */
  readonly target: string | URL;
  /** Other statuses are errors. */
  readonly expected: readonly number[];
}

/** A new token may be refused once: it was made before a right was added. */
const MAX_REFUSALS = 2;

export class RegistryClient {
  readonly reference: ImageReference;
  readonly retryPolicy: RetryPolicy;
  readonly #http: HttpClient;
  readonly #agents: Agents;
  readonly #auth: Authenticator;
  readonly #credentials: () => Promise<RegistryCredentials | undefined>;
  readonly #origin: URL;
  #hasAnswered = false;

  /** `actions` as in scopes: `pull` or `pull,push`. Connects only to find out whether a registry speaks plain HTTP. */
  static async open(
    reference: ImageReference,
    actions: string,
    options: TransportOptions,
  ): Promise<RegistryClient> {
    const client = new RegistryClient(reference, 'https:', options);
    const chosen =
      options.tlsVerify === false && !(await client.#answers())
        ? new RegistryClient(reference, 'http:', options)
        : client;
    chosen.addScope(reference.repository, actions);
    return chosen;
  }

  private constructor(
    reference: ImageReference,
    protocol: 'https:' | 'http:',
    options: TransportOptions,
  ) {
    const {
      tlsVerify = true,
      retries = DEFAULT_RETRIES,
      log = silentLogger,
      traffic,
      stallTimeout,
    } = options;
    this.reference = reference;
    this.#origin = new URL(`${protocol}//${apiHost(reference.host)}`);
    const signal = options.signal
      ? AbortSignal.any([options.signal])
      : new AbortController().signal;
    // One listener for each request that is under way.
    setMaxListeners(0, signal);
    this.retryPolicy = { retries, log, signal };
    const certificates = once(() => readCertificates(reference.host, options.certDirectory));
    this.#agents = new Agents({ certificates, tlsVerify, origin: this.#origin.origin });
    const onRequest = () => {
      if (traffic) {
        traffic.requests++;
      }
    };
    this.#http = new HttpClient({ agents: this.#agents, signal, onRequest, stallTimeout });
    this.#credentials = once(
      async () => options.credentials ?? (await findCredentials(reference, options.authfile)),
    );
    this.#auth = new Authenticator({
      http: this.#http,
      host: reference.host,
      credentials: this.#credentials,
    });
  }

  addScope(repository: string, actions: string): void {
    this.#auth.addScope(`repository:${repository}:${actions}`);
  }

  /** An answer of an expected status; tried again as often as the policy says. */
  async request(request: RegistryRequest): Promise<HttpResponse> {
    const retries = new Retries(this.retryPolicy);
    for (;;) {
      try {
        return await this.requestOnce(request);
      } catch (error) {
        await retries.after(error);
      }
    }
  }

  async requestOnce({ target, expected, ...rest }: RegistryRequest): Promise<HttpResponse> {
    const url =
      target instanceof URL
        ? target
        : new URL(`/v2/${this.reference.repository}/${target}`, this.#origin);
    const what = `${rest.method} ${url.origin}${url.pathname}`;
    try {
      const response = await this.#authenticated({ ...rest, url });
      this.#hasAnswered = true;
      if (expected.includes(response.status)) {
        return response;
      }
      const body = await readAll(response, MAX_MESSAGE_SIZE).catch(() => Buffer.alloc(0));
      const error = statusError(what, response.status, response.headers, body);
      const isAnonymous =
        [401, 403].includes(response.status) && (await this.#credentials()) === undefined;
      throw isAnonymous
        ? error.withMessage(`${error.message} (no credentials for ${this.reference.host})`)
        : error;
    } catch (error) {
      throw this.failure(what, error);
    }
  }

  /** The error for what failed while `what`; one of the network is tried again. */
  failure(what: string, error: unknown): unknown {
    if (this.retryPolicy.signal.aborted) {
      return new OstrataError('CANCELLED', `${what}: cancelled`, { cause: error });
    }
    if (error instanceof OstrataError) {
      return this.#clean(error);
    }
    return this.#clean(networkError(what, error as Error, this.#hasAnswered));
  }

  /** Closes connections that are kept for more. */
  close(): void {
    this.#agents.destroy();
  }

  async #authenticated(request: HttpRequest): Promise<HttpResponse> {
    // What the registry points to elsewhere has to do without our credentials.
    const isOwn = request.url.origin === this.#origin.origin;
    for (let refusals = 0; ; refusals++) {
      const header = isOwn ? await this.#auth.header() : undefined;
      const response = await this.#http.send(request, header);
      const isRefused =
        response.status === 401 && response.url.origin === this.#origin.origin && isOwn;
      if (
        !isRefused ||
        refusals === MAX_REFUSALS ||
        !(await this.#auth.refused(response, header))
      ) {
        return response;
      }
      await readAll(response, MAX_MESSAGE_SIZE).catch(() => {});
    }
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await this.#http.send(
        { method: 'GET', url: new URL('/v2/', this.#origin) },
        undefined,
      );
      await readAll(response, MAX_MESSAGE_SIZE).catch(() => {});
      return true;
    } catch (error) {
      if (this.retryPolicy.signal.aborted) {
        throw this.failure(`connecting to ${this.reference.host}`, error);
      }
      return false;
    }
  }

  #clean(error: OstrataError): OstrataError {
    const message = this.#auth.redact(error.message);
    if (message === error.message) {
      return error;
    }
    if (error instanceof RequestError) {
      return error.withMessage(message);
    }
    return new OstrataError(error.code, message);
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
