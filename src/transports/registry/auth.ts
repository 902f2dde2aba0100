/**
 * Authenticates requests to a registry, by HTTP Basic or by tokens:
 * https://distribution.github.io/distribution/spec/auth/token/ and
 * https://distribution.github.io/distribution/spec/auth/oauth/
 */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { OstrataError } from '../../errors.js';
import { parseChallenges } from './challenge.js';
import type { RegistryCredentials } from './credentials.js';
import { type HttpClient, type HttpRequest, resolveLocation } from './http.js';
import { isThisMachine } from './proxy.js';
import { networkError, statusError } from './request-error.js';
import { type HttpResponse, readAll, readMessage } from './response.js';

/** Lifetime that the specification gives a token that states none. */
const DEFAULT_LIFETIME_SECONDS = 60;
/**
 * A token is renewed when this part of its lifetime is over, so that a large upload does not begin
 * with a token that is about to expire.
 */
const USEFUL_LIFETIME = 0.5;
const MAX_TOKEN_SIZE = 1 << 20;
/** Shorter secrets are not redacted, since they would be found in every text. */
const MIN_REDACTED_LENGTH = 4;
/** Printable ASCII: other characters could inject headers. */
const TOKEN = /^[\x21-\x7e]+$/;

const tokenResponse = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

interface BasicScheme {
  readonly name: 'basic';
}

interface BearerScheme {
  readonly name: 'bearer';
  /** URL of the token server. */
  readonly realm: URL;
  readonly service: string | undefined;
}

type Scheme = BasicScheme | BearerScheme;

interface Token {
  readonly value: string;
  readonly lifetimeSeconds: number;
}

/** A value of the header `Authorization` that may still be on its way. */
interface PendingHeader {
  readonly value: Promise<string>;
  readonly isDue: () => boolean;
}

export interface AuthSettings {
  readonly http: HttpClient;
  /** The registry, for messages. */
  readonly host: string;
  /** False: secrets may be sent over plain HTTP. */
  readonly tlsVerify: boolean | undefined;
  readonly credentials: () => Promise<RegistryCredentials | undefined>;
}

/** Learns how the registry wants to be authenticated and provides the header for it. */
export class Authenticator {
  readonly #settings: AuthSettings;
  readonly #scopes = new Set<string>();
  readonly #secrets = new Set<string>();
  /** Undefined until the registry asks for authentication. */
  #scheme: Scheme | undefined;
  /** Undefined until it is needed, and when it must be renewed. */
  #header: PendingHeader | undefined;

  constructor(settings: AuthSettings) {
    this.#settings = settings;
  }

  /** Adds a right that the next token must grant, e.g. `repository:NAME:pull`. */
  addScope(scope: string): void {
    if (!this.#scopes.has(scope)) {
      this.#scopes.add(scope);
      this.#header = undefined;
    }
  }

  /** Returns the header `Authorization`; undefined while the registry has not asked for it. */
  async header(): Promise<string | undefined> {
    if (this.#scheme === undefined) {
      return undefined;
    }
    if (this.#header === undefined || this.#header.isDue()) {
      this.#header = this.#renew(this.#scheme);
    }
    return this.#header.value;
  }

  /**
   * Learns from the response 401 to a request that was sent with `header`. Returns false if there
   * is no other header to try.
   */
  async handleRefusal(response: HttpResponse, header: string | undefined): Promise<boolean> {
    const scheme = schemeOf(response);
    if (scheme === undefined) {
      return false;
    }
    if (scheme.name === 'bearer') {
      this.#checkRealm(scheme);
    }
    if (!(await this.#isCurrent(header))) {
      // Another request was refused at the same time, and has led to a new header already.
      return true;
    }
    if (scheme.name === 'basic' && !(await this.#canTryBasic(header))) {
      return false;
    }
    this.#scheme = scheme;
    this.#header = undefined;
    return true;
  }

  /** Returns `text` without any secret. */
  redact(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) {
      clean = clean.replaceAll(secret, '***');
    }
    return clean;
  }

  /** A registry on this machine is trusted with plain HTTP, but not with that of other machines. */
  #checkRealm({ realm }: BearerScheme): void {
    const { host, tlsVerify } = this.#settings;
    if (realm.protocol === 'http:' && tlsVerify !== false && !isThisMachine(realm)) {
      throw new OstrataError(
        'IO',
        `${host} asks for a token of ${realm.origin}, which is not secure; ` +
          'if you trust the network to it, use --tls-verify=false',
      );
    }
  }

  async #isCurrent(header: string | undefined): Promise<boolean> {
    if (this.#header === undefined) {
      return true;
    }
    return (await this.#header.value.catch(() => header)) === header;
  }

  /** Basic always sends the same header, so there is no use in trying it after a refusal. */
  async #canTryBasic(refused: string | undefined): Promise<boolean> {
    return refused === undefined && (await this.#settings.credentials()) !== undefined;
  }

  #renew(scheme: Scheme): PendingHeader {
    let dueMs = Infinity;
    const value = this.#newHeader(scheme, (lifetimeSeconds) => {
      dueMs = performance.now() + lifetimeSeconds * 1000 * USEFUL_LIFETIME;
    });
    // Those who await the value report the failure; the next request tries again.
    value.catch(() => {
      this.#header = undefined;
    });
    return { value, isDue: () => performance.now() > dueMs };
  }

  async #newHeader(scheme: Scheme, setLifetime: (seconds: number) => void): Promise<string> {
    const credentials = await this.#settings.credentials();
    if (credentials) {
      this.#keepSecret(
        'password' in credentials ? credentials.password : credentials.identityToken,
      );
    }

    if (scheme.name === 'bearer') {
      const token = await this.#fetchToken(scheme, credentials);
      setLifetime(token.lifetimeSeconds);
      this.#keepSecret(token.value);
      return `Bearer ${token.value}`;
    }

    const basic = credentials && basicHeader(credentials);
    if (basic === undefined) {
      throw new OstrataError(
        'IO',
        `${this.#settings.host} asks for a user and a password, but no credentials were found`,
      );
    }
    this.#keepSecret(basic.slice('Basic '.length));
    return basic;
  }

  #keepSecret(secret: string): void {
    if (secret.length < MIN_REDACTED_LENGTH) {
      return;
    }
    this.#secrets.add(secret);
    this.#secrets.add(encodeURIComponent(secret));
  }

  async #fetchToken(
    scheme: BearerScheme,
    credentials: RegistryCredentials | undefined,
  ): Promise<Token> {
    const { realm } = scheme;
    const action = `getting a token from ${realm.origin}${realm.pathname}`;
    const request = tokenRequest(scheme, [...this.#scopes], credentials);
    const authorization = credentials && basicHeader(credentials);
    try {
      const response = await this.#settings.http.send(request, authorization);
      return await readToken(action, response);
    } catch (error) {
      throw error instanceof OstrataError ? error : networkError(action, error, false);
    }
  }
}

async function readToken(action: string, response: HttpResponse): Promise<Token> {
  const { status, headers } = response;
  if (status !== 200) {
    throw statusError(action, status, headers, await readMessage(response));
  }

  const body = await readAll(response, MAX_TOKEN_SIZE);
  const { token, access_token, expires_in } = parseTokenResponse(body);
  const value = token || access_token;
  if (!value || !TOKEN.test(value)) {
    throw new OstrataError('CORRUPT', `${action}: the response contains no token`);
  }
  return { value, lifetimeSeconds: expires_in || DEFAULT_LIFETIME_SECONDS };
}

/** The errors of parsers are not shown, since they may quote the token. */
function parseTokenResponse(body: Uint8Array): v.InferOutput<typeof tokenResponse> {
  try {
    return parseJson(Buffer.from(body).toString(), tokenResponse);
  } catch {
    throw new OstrataError(
      'CORRUPT',
      'the token server does not respond with JSON that contains a token',
    );
  }
}

/** Prefers Bearer to Basic. Returns undefined if the registry asks for neither. */
function schemeOf({ headers, url }: HttpResponse): Scheme | undefined {
  const challenges = parseChallenges(headers['www-authenticate'] ?? '');
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters;
  const realm = bearer?.get('realm');
  if (realm !== undefined) {
    return { name: 'bearer', realm: resolveLocation(realm, url), service: bearer?.get('service') };
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { name: 'basic' } : undefined;
}

/** Returns undefined for an identity token, which is not sent in a header. */
function basicHeader(credentials: RegistryCredentials): string | undefined {
  if ('identityToken' in credentials) {
    return undefined;
  }
  const { username, password } = credentials;
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function tokenRequest(
  scheme: BearerScheme,
  scopes: readonly string[],
  credentials: RegistryCredentials | undefined,
): HttpRequest {
  if (credentials !== undefined && 'identityToken' in credentials) {
    return oauthRequest(scheme, scopes, credentials.identityToken);
  }
  const url = new URL(scheme.realm);
  if (scheme.service !== undefined) {
    url.searchParams.set('service', scheme.service);
  }
  for (const scope of scopes) {
    url.searchParams.append('scope', scope);
  }
  return { method: 'GET', url };
}

function oauthRequest(
  { realm, service }: BearerScheme,
  scopes: readonly string[],
  identityToken: string,
): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: 'ostrata',
    refresh_token: identityToken,
    scope: scopes.join(' '),
  });
  if (service !== undefined) {
    form.set('service', service);
  }

  const body = Buffer.from(form.toString());
  return {
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: { length: body.length, stream: () => [body] },
    isSecret: true,
  };
}
