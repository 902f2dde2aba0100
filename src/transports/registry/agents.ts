/** Connections to hosts: kept for the next request, directly or through a proxy, with the certificates that apply. */
import http from 'node:http';
import https from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext } from 'node:tls';
import type { Certificates } from './certificates.js';
import { proxyFor, proxyHeaders } from './proxy.js';

/** Of a CONNECT request, in milliseconds. */
const CONNECT_TIMEOUT = 60_000;

/** Where a request goes and what it must say for the proxy in between. */
export interface Route {
  readonly options: http.RequestOptions;
  readonly isTls: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export interface AgentSettings {
  readonly certificates: () => Certificates;
  readonly tlsVerify: boolean;
  /** The only one that sees client certificates. */
  readonly origin: string;
}

export class Agents {
  readonly #settings: AgentSettings;
  readonly #agents = new Map<string, http.Agent>();
  readonly #contexts = new Map<boolean, SecureContext>();

  constructor(settings: AgentSettings) {
    this.#settings = settings;
  }

  route(url: URL): Route {
    const proxy = proxyFor(url);
    const isTls = url.protocol === 'https:';
    // To a proxy a plain request goes as it is, with the whole URL (RFC 9112, section 3.2.2).
    const hop = isTls || proxy === undefined ? url : proxy;
    const agent = this.#agent(hop, isTls ? proxy : undefined);
    const place = { hostname: hop.hostname.replace(/^\[|\]$/g, ''), port: hop.port };
    const path = hop === url ? `${url.pathname}${url.search}` : url.href;
    return {
      options: { ...place, path, agent },
      isTls: hop.protocol === 'https:',
      headers: { host: url.host, ...(hop === proxy && proxyHeaders(proxy)) },
    };
  }

  /** Closes the connections that are kept. */
  destroy(): void {
    for (const agent of this.#agents.values()) {
      agent.destroy();
    }
  }

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
    const isOwn = url.origin === this.#settings.origin;
    const { ca, cert, key } = this.#settings.certificates();
    const context =
      this.#contexts.get(isOwn) ?? createSecureContext({ ca, ...(isOwn && { cert, key }) });
    this.#contexts.set(isOwn, context);
    return context;
  }
}

type Connected = (error: Error | null, socket?: Socket) => void;

/** TLS through a tunnel of a proxy: RFC 9110, section 9.3.6. */
class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #proxyContext: SecureContext;

  constructor(options: https.AgentOptions, proxy: URL, proxyContext: SecureContext) {
    super(options);
    this.#proxy = proxy;
    this.#proxyContext = proxyContext;
  }

  // The types know only the synchronous form: https://nodejs.org/docs/latest-v20.x/api/http.html#agentcreateconnectionoptions-callback
  override createConnection(requested: object, callback?: unknown): never {
    const options = requested as { readonly host: string; readonly port: number };
    const done = callback as Connected;
    const { hostname, port, protocol } = this.#proxy;
    const host = isIP(options.host) === 6 ? `[${options.host}]` : options.host;
    const target = `${host}:${options.port}`;
    const request = (protocol === 'https:' ? https : http).request({
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyHeaders(this.#proxy) },
      agent: false,
      timeout: CONNECT_TIMEOUT,
      ...(protocol === 'https:' && { secureContext: this.#proxyContext }),
    });
    request.once('connect', ({ statusCode }, socket) => {
      if (statusCode !== 200) {
        socket.destroy();
        return done(new Error(`the proxy refuses the connection: HTTP status ${statusCode}`));
      }
      socket.setTimeout(0);
      const servername = isIP(options.host) ? '' : options.host;
      done(null, connect({ ...options, socket, servername }));
    });
    request.once('timeout', () => request.destroy(new Error('the proxy does not answer')));
    request.once('error', done);
    request.end();
    return undefined as never;
  }
}
