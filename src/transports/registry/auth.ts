/**
 * Authentication: Basic, and tokens as in https://distribution.github.io/distribution/spec/auth/token/ and
 * https://distribution.github.io/distribution/spec/auth/oauth/
 */
import * as v from 'valibot';
import { OstrataError } from '../../errors.js';
import { parseChallenges } from './challenge.js';
import type { RegistryCredentials } from './credentials.js';
import { networkError, statusError } from './errors.js';
import {
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  MAX_MESSAGE_SIZE,
  readAll,
  resolveLocation,
} from './http.js';

/** The specification's default, in seconds. */
const DEFAULT_LIFETIME = 60;
/** A token is renewed when this part of its life is over: a large upload must not begin with one that is about to end. */
const USEFUL_LIFETIME = 0.5;
const MAX_TOKEN_SIZE = 1 << 20;
/** Shorter secrets would be found in every text. */
const MIN_REDACTED = 4;

const tokenAnswer = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

type Scheme =
  | { readonly name: 'basic' }
  | { readonly name: 'bearer'; readonly realm: URL; readonly service: string | undefined };

export interface AuthSettings {
  readonly http: HttpClient;
  /** In messages. */
  readonly host: string;
  readonly credentials: () => Promise<RegistryCredentials | undefined>;
}

/** Knows what the registry wants to see and gets it. */
export class Authenticator {
  readonly #settings: AuthSettings;
  readonly #scopes = new Set<string>();
  readonly #secrets = new Set<string>();
  #scheme: Scheme | undefined;
  /** Unset until the registry asks for it, or when it is due to be renewed. */
  #header: { readonly value: Promise<string>; readonly isDue: () => boolean } | undefined;

  constructor(settings: AuthSettings) {
    this.#settings = settings;
  }

  /** Asks for one more right from now on, e.g. `repository:NAME:pull`. */
  addScope(scope: string): void {
    if (this.#scopes.has(scope)) {
      return;
    }
    this.#scopes.add(scope);
    this.#header = undefined;
  }

  /** The value of `Authorization`; undefined while the registry has not asked for any. */
  async header(): Promise<string | undefined> {
    if (this.#scheme === undefined) {
      return undefined;
    }
    if (this.#header === undefined || this.#header.isDue()) {
      this.#header = this.#renew(this.#scheme);
    }
    return this.#header.value;
  }

  /** Takes in that a request with `header` was answered by 401. False: there is nothing more that could be shown. */
  async refused(response: HttpResponse, header: string | undefined): Promise<boolean> {
    const scheme = schemeOf(response);
    if (scheme === undefined) {
      return false;
    }
    // Others may have been refused at the same time and have a new one by now.
    const isCurrent =
      this.#header === undefined || (await this.#header.value.catch(() => header)) === header;
    if (isCurrent) {
      if (
        scheme.name === 'basic' &&
        (header !== undefined || (await this.#settings.credentials()) === undefined)
      ) {
        return false;
      }
      this.#scheme = scheme;
      this.#header = undefined;
    }
    return true;
  }

  /** `text` without anything that was secret. */
  redact(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) {
      clean = clean.replaceAll(secret, '***');
    }
    return clean;
  }

  #renew(scheme: Scheme): { readonly value: Promise<string>; readonly isDue: () => boolean } {
    let due = Infinity;
    const value = this.#newHeader(scheme, (lifetime) => {
      due = performance.now() + lifetime * 1000 * USEFUL_LIFETIME;
    });
    // Whoever waits for it reports the failure; the next one tries again.
    value.catch(() => {
      this.#header = undefined;
    });
    return { value, isDue: () => performance.now() > due };
  }

  async #newHeader(scheme: Scheme, setLifetime: (seconds: number) => void): Promise<string> {
    const credentials = await this.#settings.credentials();
    if (credentials) {
      this.#keepSecret(
        'password' in credentials ? credentials.password : credentials.identityToken,
      );
    }
    if (scheme.name === 'bearer') {
      const { token, lifetime } = await this.#fetchToken(scheme, credentials);
      setLifetime(lifetime);
      this.#keepSecret(token);
      return `Bearer ${token}`;
    }
    const basic = credentials && basicHeader(credentials);
    if (basic === undefined) {
      throw new OstrataError(
        'IO',
        `${this.#settings.host} asks for a user and a password, and there are none`,
      );
    }
    this.#keepSecret(basic.slice('Basic '.length));
    return basic;
  }

  #keepSecret(secret: string): void {
    if (secret.length < MIN_REDACTED) {
      return;
    }
    this.#secrets.add(secret);
    this.#secrets.add(encodeURIComponent(secret));
  }

  async #fetchToken(
    { realm, service }: Scheme & { name: 'bearer' },
    credentials: RegistryCredentials | undefined,
  ): Promise<{ readonly token: string; readonly lifetime: number }> {
    const scopes = [...this.#scopes];
    const isOauth = credentials !== undefined && 'identityToken' in credentials;
    const request = isOauth
      ? oauthRequest(realm, service, scopes, credentials.identityToken)
      : tokenRequest(realm, service, scopes);
    const what = `getting a token from ${realm.origin}${realm.pathname}`;
    try {
      const response = await this.#settings.http.send(
        request,
        credentials && basicHeader(credentials),
      );
      const body = await readAll(
        response,
        response.status === 200 ? MAX_TOKEN_SIZE : MAX_MESSAGE_SIZE,
      );
      if (response.status !== 200) {
        throw statusError(what, response.status, response.headers, body);
      }
      const { token, access_token, expires_in } = parseToken(body);
      const value = token || access_token;
      if (!value || !/^[\x21-\x7e]+$/.test(value)) {
        throw new OstrataError('CORRUPT', `${what}: the answer holds none`);
      }
      return { token: value, lifetime: expires_in || DEFAULT_LIFETIME };
    } catch (error) {
      throw error instanceof OstrataError ? error : networkError(what, error as Error, false);
    }
  }
}

function parseToken(body: Uint8Array): v.InferOutput<typeof tokenAnswer> {
  try {
    return v.parse(tokenAnswer, JSON.parse(Buffer.from(body).toString()));
  } catch {
    throw new OstrataError(
      'CORRUPT',
      'the token server does not answer with JSON that holds a token',
    );
  }
}

/** Bearer before Basic; undefined where the registry asks for nothing that is known. */
function schemeOf({ headers, url }: HttpResponse): Scheme | undefined {
  const challenges = parseChallenges(headers['www-authenticate'] ?? '');
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters;
  const realm = bearer?.get('realm');
  if (realm !== undefined) {
    return { name: 'bearer', realm: resolveLocation(realm, url), service: bearer?.get('service') };
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { name: 'basic' } : undefined;
}

function basicHeader(credentials: RegistryCredentials): string | undefined {
  if ('identityToken' in credentials) {
    return undefined;
  }
  const { username, password } = credentials;
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
): HttpRequest {
  const url = new URL(realm);
  if (service !== undefined) {
    url.searchParams.set('service', service);
  }
  for (const scope of scopes) {
    url.searchParams.append('scope', scope);
  }
  return { method: 'GET', url };
}

function oauthRequest(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  token: string,
): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'ostrata',
    refresh_token: token,
    scope: scopes.join(' '),
    ...(service !== undefined && { service }),
  });
  const body = Buffer.from(form.toString());
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return {
    method: 'POST',
    url: realm,
    headers,
    body: { length: body.length, stream: () => [body] },
    isSecret: true,
  };
}
