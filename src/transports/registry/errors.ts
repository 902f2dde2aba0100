/** What went wrong between us and a registry, and whether to try again. */
import type { IncomingHttpHeaders } from 'node:http';
import { OstrataError } from '../../errors.js';

/** Of a message of a registry that is shown. */
const MAX_MESSAGE_LENGTH = 500;
/** Statuses that another try may not get. */
const TEMPORARY_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Failures that are not of the moment. */
const LASTING_CODES = new Set([
  'ENOTFOUND',
  'ECONNREFUSED',
  'EPROTO',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EACCES',
]);

/** A request that failed. */
export class RequestError extends OstrataError {
  /** Another try may succeed. */
  readonly isTemporary: boolean;
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;
  /** Seconds that the registry asks to wait. */
  readonly retryAfter: number | undefined;

  constructor(
    message: string,
    details: {
      status?: number | undefined;
      isTemporary: boolean;
      retryAfter?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(details.status === 404 ? 'NOT_FOUND' : 'IO', message, { cause: details.cause });
    this.status = details.status;
    this.isTemporary = details.isTemporary;
    this.retryAfter = details.retryAfter;
  }

  /** The same, but worth another try. */
  asTemporary(): RequestError {
    const { message, status, retryAfter, cause } = this;
    return new RequestError(message, { status, isTemporary: true, retryAfter, cause });
  }

  /** The same with another text, and without the cause, whose text it may be that must not show. */
  withMessage(message: string): RequestError {
    const { status, isTemporary, retryAfter } = this;
    return new RequestError(message, { status, isTemporary, retryAfter });
  }
}

/** An answer of a status that was not expected. */
export function statusError(
  what: string,
  status: number,
  headers: IncomingHttpHeaders,
  body: Uint8Array,
): RequestError {
  const message = registryMessage(body);
  return new RequestError(`${what}: HTTP status ${status}${message === '' ? '' : `: ${message}`}`, {
    status,
    isTemporary: TEMPORARY_STATUSES.has(status),
    retryAfter: retryAfter(headers['retry-after']),
  });
}

/** No answer, or one that broke off. `isKnownHost`: it has answered before, so that it is there. */
export function networkError(what: string, error: Error, isKnownHost: boolean): RequestError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const isLasting =
    LASTING_CODES.has(code) ||
    /CERT|^ERR_TLS|^ERR_SSL|SELF_SIGNED|SIGNATURE|^ERR_INVALID/.test(code);
  return new RequestError(`${what}: ${error.message || code}`, {
    isTemporary: isKnownHost || !isLasting,
    cause: error,
  });
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes, or text; one line. */
function registryMessage(body: Uint8Array): string {
  const text = Buffer.from(body).toString();
  let message = text.trimStart().startsWith('<') ? '' : text;
  try {
    const { errors, error, details } = JSON.parse(text) as {
      errors?: { code?: unknown; message?: unknown }[] | undefined;
      error?: unknown;
      details?: unknown;
    };
    // Token servers answer as in OAuth, or with a sentence in `details`.
    message = errors
      ? errors
          .map((one) =>
            [one.code, one.message].filter((part) => typeof part === 'string').join(': '),
          )
          .join('; ')
      : [error, details].filter((part) => typeof part === 'string').join(': ');
  } catch {}
  return message
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_LENGTH);
}

/** Seconds or a date: RFC 9110, section 10.2.3. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (/^\d{1,9}$/.test(value)) {
    return Number(value);
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
