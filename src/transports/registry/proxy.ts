/**
 * Chooses a proxy by the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go reads them:
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
 */
import { BlockList, isIP } from 'node:net';
import { OstrataError } from '../../errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the proxy for `url`; undefined if the URL is reached directly, as those of this machine
 * always are. Throws `USAGE` if the variable is not the URL of a supported proxy.
 */
export function proxyFor(url: URL, environment: Environment = process.env): URL | undefined {
  const variables = new Map(Object.entries(environment));
  const variable = (name: string) =>
    variables.get(name) || variables.get(name.toLowerCase()) || undefined;
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = variable(name);
  if (value === undefined || isExempt(url, variable('NO_PROXY') ?? '')) {
    return undefined;
  }
  return parseProxy(name, value);
}

/** Messages do not show the value, which may contain a password. */
function parseProxy(name: string, value: string): URL {
  const refuse = (rule: string) => new OstrataError('USAGE', `${name}: ${rule}`);
  let proxy: URL;
  try {
    proxy = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    throw refuse('is not a URL');
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw refuse(`proxies of type ${proxy.protocol} are not supported, only http: and https:`);
  }
  try {
    proxyHeaders(proxy);
  } catch {
    throw refuse('in its user or password % must be written as %25');
  }
  return proxy;
}

/** Returns the header `Proxy-Authorization` if the proxy's URL contains USER:PASSWORD. */
export function proxyHeaders({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') {
    return {};
  }
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

/** The host of a URL, to be compared with the entries of NO_PROXY. */
interface Host {
  readonly name: string;
  readonly port: string;
  /** 4 or 6 if the name is an IP address, else 0. */
  readonly family: number;
}

function isExempt(url: URL, list: string): boolean {
  const name = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const host = { name, port, family: isIP(name) };

  const entries = list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  return isThisMachine(url) || entries.some((entry) => matches(host, entry));
}

/** Whether the host of `url` is `localhost`, `::1` or in `127.0.0.0/8`. */
export function isThisMachine({ hostname }: URL): boolean {
  const isLoopback = isIP(hostname) === 4 && hostname.startsWith('127.');
  return isLoopback || ['localhost', '[::1]'].includes(hostname.toLowerCase());
}

/** Whether an entry of NO_PROXY applies to `host`. */
function matches(host: Host, entry: string): boolean {
  if (entry === '*') {
    return true;
  }
  if (entry.includes('/')) {
    return host.family !== 0 && isInSubnet(host, entry);
  }

  const bracketed = isIP(entry) === 6 ? `[${entry}]` : entry;
  const [, name = '', port] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(bracketed) ?? [];
  if (port !== undefined && port !== host.port) {
    return false;
  }
  return host.family === 0 ? isInDomain(host.name, name) : name === host.name;
}

/** `example.com` stands for itself and everything below it, `.example.com` only for the latter. */
function isInDomain(name: string, entry: string): boolean {
  const domain = entry.replace(/^\*?\./, '');
  if (domain === '') {
    return false;
  }
  return name.endsWith(`.${domain}`) || (name === domain && entry === domain);
}

function isInSubnet({ name, family }: Host, entry: string): boolean {
  const [network = '', prefix = ''] = entry.split('/');
  if (isIP(network) !== family || !/^\d{1,3}$/.test(prefix)) {
    return false;
  }
  const type = family === 6 ? 'ipv6' : 'ipv4';
  const subnets = new BlockList();
  try {
    subnets.addSubnet(network, Number(prefix), type);
  } catch {
    return false;
  }
  return subnets.check(name, type);
}
