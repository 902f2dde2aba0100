/** Errors of requests to a registry, and whether repeating the request may help. */
import type { IncomingHttpHeaders } from 'node:http';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { errnoOf, OstrataError } from '../../errors.js';

/** Limit for the shown message of a registry, in characters. */
const MAX_MESSAGE_LENGTH = 500;
/** Statuses of failures that may pass: another attempt may succeed. */
const TEMPORARY_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Codes of network errors that do not pass by waiting. */
const LASTING_CODES = new Set([
  'ENOTFOUND',
  'ECONNREFUSED',
  'EPROTO',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EACCES',
]);
/** Codes of errors in TLS, in certificates and in arguments, which do not pass either. */
const LASTING_CODE_PARTS = /CERT|^ERR_TLS|^ERR_SSL|SELF_SIGNED|SIGNATURE|^ERR_INVALID/;

/** What OpenSSL says if the other side responds to a TLS handshake in plain HTTP. */
const PLAIN_HTTP = /wrong.version.number|packet.length.too.long|http.request/i;

interface RequestErrorDetails {
  readonly status?: number | undefined;
  readonly isTemporary: boolean;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** A request that failed: `NOT_FOUND` for the status 404, else `IO`. */
export class RequestError extends OstrataError {
  /** Whether another attempt may succeed. */
  readonly isTemporary: boolean;
  /** HTTP status; undefined if there was no response. */
  readonly status: number | undefined;
  /** How long the registry asks to wait. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: RequestErrorDetails) {
    super(details.status === 404 ? 'NOT_FOUND' : 'IO', message, { cause: details.cause });
    this.status = details.status;
    this.isTemporary = details.isTemporary;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  /** Returns the same error, marked as one after which another attempt may succeed. */
  asTemporary(): RequestError {
    const { message, status, retryAfterSeconds, cause } = this;
    return new RequestError(message, { status, isTemporary: true, retryAfterSeconds, cause });
  }

  /** Returns the same error with another message, and without the cause, which may hold secrets. */
  withMessage(message: string): RequestError {
    const { status, isTemporary, retryAfterSeconds } = this;
    return new RequestError(message, { status, isTemporary, retryAfterSeconds });
  }
}

/** Returns the error for a response with an unexpected status. */
export function statusError(
  action: string,
  status: number,
  headers: IncomingHttpHeaders,
  body: Uint8Array,
): RequestError {
  const message = registryMessage(Buffer.from(body).toString());
  const explanation = message === '' ? '' : `: ${message}`;
  return new RequestError(`${action}: HTTP status ${status}${explanation}`, {
    status,
    isTemporary: TEMPORARY_STATUSES.has(status),
    retryAfterSeconds: parseRetryAfter(headers['retry-after']),
  });
}

/**
 * Returns the error for a missing or incomplete response.
 * @param isKnownHost whether the host has responded before, so that its name and certificate are
 *   right
 */
export function networkError(action: string, error: unknown, isKnownHost: boolean): RequestError {
  if (speaksPlainHttp(error)) {
    const explanation =
      'the server speaks HTTP, not HTTPS; if you trust the network to it, use --tls-verify=false';
    return new RequestError(`${action}: ${explanation}`, { isTemporary: false, cause: error });
  }
  const code = errnoOf(error) ?? '';
  const message = error instanceof Error ? error.message : String(error);
  const isLasting = LASTING_CODES.has(code) || LASTING_CODE_PARTS.test(code);
  return new RequestError(`${action}: ${message || code}`, {
    isTemporary: isKnownHost || !isLasting,
    cause: error,
  });
}

/** Whether a request over HTTPS failed because the server speaks plain HTTP. */
export function speaksPlainHttp(error: unknown): boolean {
  return error instanceof Error && PLAIN_HTTP.test(`${errnoOf(error)} ${error.message}`);
}

/**
 * Error messages in JSON: of registries
 * (https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes) in
 * `errors`, of token servers in `error` as in OAuth, or in `details`.
 */
const errorBody = v.object({
  errors: v.nullish(
    v.array(v.object({ code: v.optional(v.unknown()), message: v.optional(v.unknown()) })),
  ),
  error: v.optional(v.unknown()),
  details: v.optional(v.unknown()),
});

/** Returns the message in the body of an error response as one line; empty if there is none. */
function registryMessage(body: string): string {
  const isHtml = body.trimStart().startsWith('<');
  const message = jsonMessage(body) ?? (isHtml ? '' : body);
  return message
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_LENGTH);
}

function jsonMessage(body: string): string | undefined {
  let parsed: v.InferOutput<typeof errorBody>;
  try {
    parsed = parseJson(body, errorBody);
  } catch {
    return undefined;
  }
  const { errors, error, details } = parsed;
  return errors
    ? errors.map(({ code, message }) => joinTexts(code, message)).join('; ')
    : joinTexts(error, details);
}

function joinTexts(...parts: readonly unknown[]): string {
  return parts.filter((part) => typeof part === 'string').join(': ');
}

/** Reads seconds or a date: RFC 9110, section 10.2.3. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (/^\d{1,9}$/.test(value)) {
    return Number(value);
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
