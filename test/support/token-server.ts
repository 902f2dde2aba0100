// A token server: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenServer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** What was asked for, e.g. `alice repository:os:pull`. */
  readonly requests: string[];
  stop(): Promise<void>;
}

export interface TokenServerConfig {
  /** PEM files of the key that signs tokens and its certificate. */
  readonly key: string;
  readonly certificate: string;
  readonly user: string;
  readonly password: string;
  readonly identityToken?: string;
  /** Seconds that a token lives. */
  readonly lifetime?: number;
}

/** The user may do everything, others (without credentials) may pull. */
export async function startTokenServer(config: TokenServerConfig): Promise<TokenServer> {
  const { user, password, identityToken, lifetime = 300 } = config;
  const issuer = 'test-issuer';
  const service = 'test-service';
  const requests: string[] = [];
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    let body = '';
    for await (const chunk of request) {
      body += chunk;
    }
    const form = new URLSearchParams(body);
    const isUser =
      request.method === 'POST'
        ? form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken
        : request.headers.authorization === basic;
    const isWrong =
      request.method === 'POST' ? !isUser : request.headers.authorization !== undefined && !isUser;
    const scopes =
      request.method === 'POST'
        ? (form.get('scope') ?? '').split(' ')
        : url.searchParams.getAll('scope');
    requests.push([isUser ? user : 'anonymous', ...scopes].join(' '));
    if (isWrong) {
      response.writeHead(401, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ details: 'incorrect username or password' }));
    }
    const access = scopes.filter(Boolean).map((scope) => {
      const [type, name, actions = ''] = scope.split(':');
      return {
        type,
        name,
        actions: actions.split(',').filter((action) => isUser || action === 'pull'),
      };
    });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      aud: service,
      sub: user,
      nbf: now - 60,
      iat: now,
      exp: now + lifetime,
      jti: `${now}`,
      access,
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ token: webToken(config, claims), expires_in: lifetime }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    service,
    issuer,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** RFC 7519, signed with ECDSA; the certificate goes with it (RFC 7515, x5c). */
function webToken({ key, certificate }: TokenServerConfig, claims: object): string {
  const x5c = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ typ: 'JWT', alg: 'ES256', x5c })}.${encode(claims)}`;
  const privateKey = createPrivateKey(readFileSync(key));
  return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
