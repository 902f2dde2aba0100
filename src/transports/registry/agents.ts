/**
 * Keeps connections to hosts for further requests. A connection is direct or goes through a proxy
 * and uses the certificates that apply to its host.
 */
import http from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import type { Certificates } from './certificates.js';
import { proxyFor, proxyHeaders } from './proxy.js';

/** The longest time until a proxy responds to CONNECT. */
const CONNECT_TIMEOUT_MS = 60_000;

/** How a request reaches its URL. */
export interface Route {
  /** Host, port, path and agent of the request. */
  readonly options: http.RequestOptions;
  /** Whether the first hop, a proxy or the host itself, speaks TLS. */
  readonly isTls: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export interface AgentSettings {
  readonly certificates: () => Certificates;
  /** False: any certificate is accepted. */
  readonly tlsVerify: boolean;
  /** The registry's origin, the only one that is shown client certificates. */
  readonly origin: string;
}

export class Agents {
  readonly #settings: AgentSettings;
  readonly #agents = new Map<string, http.Agent>();
  #registryContext: SecureContext | undefined;
  #otherContext: SecureContext | undefined;

  constructor(settings: AgentSettings) {
    this.#settings = settings;
  }

  /**
   * Returns the route to `url`. Throws `USAGE` if the proxy in the environment is not a valid URL.
   */
  route(url: URL): Route {
    const proxy = proxyFor(url);
    if (url.protocol === 'https:' || proxy === undefined) {
      return {
        options: {
          ...address(url),
          path: `${url.pathname}${url.search}`,
          agent: this.#agent(url, proxy),
        },
        isTls: url.protocol === 'https:',
        headers: { host: url.host },
      };
    }
    // A proxy receives a plain request with the whole URL: RFC 9112, section 3.2.2.
    return {
      options: { ...address(proxy), path: url.href, agent: this.#agent(proxy, undefined) },
      isTls: proxy.protocol === 'https:',
      headers: { host: url.host, ...proxyHeaders(proxy) },
    };
  }

  /** Closes the connections that are kept. */
  destroy(): void {
    for (const agent of this.#agents.values()) {
      agent.destroy();
    }
  }

  /** @param tunnel the proxy that forwards the connection to `hop`, if any */
  #agent(hop: URL, tunnel: URL | undefined): http.Agent {
    const key = `${hop.origin} ${tunnel?.href ?? ''}`;
    const agent = this.#agents.get(key) ?? this.#newAgent(hop, tunnel);
    this.#agents.set(key, agent);
    return agent;
  }

  #newAgent(hop: URL, tunnel: URL | undefined): http.Agent {
    if (hop.protocol === 'http:') {
      return new http.Agent({ keepAlive: true });
    }
    const options = {
      keepAlive: true,
      secureContext: this.#context(hop),
      rejectUnauthorized: this.#settings.tlsVerify,
    };
    return tunnel === undefined
      ? new https.Agent(options)
      : new TunnelAgent(options, tunnel, this.#context(tunnel));
  }

  #context(url: URL): SecureContext {
    const { ca, cert, key } = this.#settings.certificates();
    if (url.origin === this.#settings.origin) {
      this.#registryContext ??= createSecureContext({ ca, cert, key });
      return this.#registryContext;
    }
    this.#otherContext ??= createSecureContext({ ca });
    return this.#otherContext;
  }
}

type ConnectCallback = (error: Error | null, socket?: Socket) => void;

/** What an agent is told about the host of a request. */
interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
}

/** Connects by TLS through the tunnel of a proxy: RFC 9110, section 9.3.6. */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #proxyContext: SecureContext;

  constructor(options: https.AgentOptions, proxy: URL, proxyContext: SecureContext) {
    super(options);
    this.#proxy = proxy;
    this.#proxyContext = proxyContext;
  }

  // The types of Node have only the synchronous form. With a callback, the result is ignored:
  // https://nodejs.org/docs/latest-v20.x/api/http.html#agentcreateconnectionoptions-callback
  override createConnection(target: object, callback?: unknown): never {
    this.#connect(target as ConnectionTarget, callback as ConnectCallback);
    return undefined as never;
  }

  #connect(target: ConnectionTarget, done: ConnectCallback): void {
    const request = this.#connectRequest(target);
    request.once('connect', ({ statusCode }, socket) => {
      if (statusCode !== 200) {
        socket.destroy();
        done(new Error(`the proxy refuses the connection: HTTP status ${statusCode}`));
        return;
      }
      socket.setTimeout(0);
      const servername = isIP(target.host) ? '' : target.host;
      done(null, connect({ ...target, socket, servername }));
    });
    request.once('timeout', () => request.destroy(new Error('the proxy does not respond')));
    request.once('error', done);
    request.end();
  }

  #connectRequest({ host, port }: ConnectionTarget): http.ClientRequest {
    const path = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    const options = {
      ...address(this.#proxy),
      method: 'CONNECT',
      path,
      headers: { host: path, ...proxyHeaders(this.#proxy) },
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
    };
    if (this.#proxy.protocol === 'http:') {
      return http.request(options);
    }
    const secureOptions = { ...options, secureContext: this.#proxyContext };
    return https.request(secureOptions);
  }
}

/** Returns host and port for Node, which wants IPv6 addresses without brackets. */
function address({ hostname, port }: URL): { readonly hostname: string; readonly port: string } {
  return { hostname: hostname.replace(/^\[|\]$/g, ''), port };
}
