/**
 * A token server for registries, which implements
 * https://distribution.github.io/distribution/spec/auth/token/ and .../auth/oauth/.
 */
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenServer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** The user and scopes of each request, such as `alice repository:os:pull`. */
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
  /** Seconds until a token expires. */
  readonly lifetime?: number;
}

/** Starts a server whose user may do everything; requests without credentials may pull. */
export async function startTokenServer(config: TokenServerConfig): Promise<TokenServer> {
  const { user, password, identityToken, lifetime = 300 } = config;
  const issuer = 'test-issuer';
  const service = 'test-service';
  const requests: string[] = [];
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

  /** Reads a request of either protocol: POST with an identity token, or GET with a password. */
  function whoAsks(request: IncomingMessage, url: URL, form: URLSearchParams) {
    if (request.method === 'POST') {
      const isUser =
        form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === identityToken;
      return { isUser, isWrong: !isUser, scopes: (form.get('scope') ?? '').split(' ') };
    }
    const { authorization } = request.headers;
    const isUser = authorization === basic;
    const isWrong = authorization !== undefined && !isUser;
    return { isUser, isWrong, scopes: url.searchParams.getAll('scope') };
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    let body = '';
    for await (const chunk of request) {
      body += chunk;
    }
    const { isUser, isWrong, scopes } = whoAsks(request, url, new URLSearchParams(body));
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

/** Makes a JSON web token (RFC 7519), signed with ECDSA, with its certificate (RFC 7515, x5c). */
function webToken({ key, certificate }: TokenServerConfig, claims: object): string {
  const x5c = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ typ: 'JWT', alg: 'ES256', x5c })}.${encode(claims)}`;
  const privateKey = createPrivateKey(readFileSync(key));
  const signature = sign('sha256', Buffer.from(signed), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}
