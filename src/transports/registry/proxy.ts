/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go reads them: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config */
import { BlockList, isIP } from 'node:net';
import { OstrataError } from '../../errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for `url`; undefined where it is to be reached directly, as this machine itself always is. */
export function proxyFor(url: URL, environment: Environment = process.env): URL | undefined {
  const variable = (name: string) =>
    environment[name] || environment[name.toLowerCase()] || undefined;
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = variable(name);
  if (value === undefined || isExempt(url, variable('NO_PROXY') ?? '')) {
    return undefined;
  }
  // The value may hold a password: it is in no message.
  const refuse = (rule: string) => new OstrataError('USAGE', `${name}: ${rule}`);
  let proxy: URL;
  try {
    proxy = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    throw refuse('is no URL');
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

/** `Proxy-Authorization` of a proxy with USER:PASSWORD in its URL. */
export function proxyHeaders({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') {
    return {};
  }
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const family = isIP(host);
  if (host === 'localhost' || host === '::1' || (family === 4 && host.startsWith('127.'))) {
    return true;
  }
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === '*') {
        return true;
      }
      if (entry.includes('/')) {
        return family !== 0 && isInSubnet(host, family, entry);
      }
      const [, name = '', itsPort] =
        /^\[?(.*?)\]?(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
      if (itsPort !== undefined && itsPort !== port) {
        return false;
      }
      if (family !== 0) {
        return name === host;
      }
      const domain = name.replace(/^\*?\./, '');
      return domain !== '' && (host.endsWith(`.${domain}`) || (host === domain && name === domain));
    });
}

function isInSubnet(host: string, family: number, entry: string): boolean {
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
  return subnets.check(host, type);
}
