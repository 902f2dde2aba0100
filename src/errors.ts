/**
 * The one error type of the library, its codes, and helpers that add context to errors.
 */

/** What kind of failure an {@link OstrataError} is; stable, for programs. */
export type ErrorCode =
  | 'USAGE' // the caller's arguments contradict each other or are out of range (exit code 2)
  | 'NOT_FOUND' // a named thing does not exist: repository, ref, object, tag, file
  | 'AMBIGUOUS' // a name fits several things
  | 'CORRUPT' // bytes break their format or do not match their checksum
  | 'UNSUPPORTED' // well-formed, but of a kind this version does not read or write
  | 'LIMIT' // a named bound is exceeded
  | 'PLUGIN' // a plugin cannot be loaded, or broke its contract
  | 'IO' // the operating system refused
  | 'CANCELLED'; // the caller's AbortSignal fired

/** Most bytes of a message: names and values in it come from outside, and may have megabytes. */
const MAX_MESSAGE_SIZE = 1000;

/**
 * The one error type of this library. The message reads from the outside in, each step a gerund:
 * `reading rpmdb: page 3: expected type 8, got 9 (offset 12288)`. It has at most 1,000 bytes; of a
 * longer one the middle is left out, since the ends say what was done and which rule was broken.
 */
export class OstrataError extends Error {
  override readonly name = 'OstrataError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(bounded(message), options);
    this.code = code;
  }
}

/** Returns a message of at most 1,000 bytes of UTF-8, with `...` for the middle of a longer one. */
export function bounded(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_MESSAGE_SIZE) {
    return message;
  }
  const half = (MAX_MESSAGE_SIZE - 4) / 2;
  const start = bytes.subarray(0, half).toString();
  const end = bytes.subarray(-half).toString();
  // A character that the cut divides becomes one or more U+FFFD.
  const wholeStart = start.replace(/\ufffd+$/, '');
  const wholeEnd = end.replace(/^\ufffd+/, '');
  return `${wholeStart}...${wholeEnd}`;
}

const NOT_FOUND_ERRNOS = new Set(['ENOENT', 'ENOTDIR']);

/**
 * Returns `error` with `context` in front of its message. Keeps the code of an OstrataError; of
 * other errors it derives one.
 */
export function wrapError(context: string, error: unknown): OstrataError {
  if (error instanceof OstrataError) {
    return new OstrataError(error.code, `${context}: ${error.message}`, { cause: error });
  }
  const { message, code } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  if (error instanceof Error && error.name === 'AbortError') {
    return new OstrataError('CANCELLED', `${context}: cancelled`, { cause: error });
  }
  return new OstrataError(
    code && NOT_FOUND_ERRNOS.has(code) ? 'NOT_FOUND' : 'IO',
    `${context}: ${message}`,
    {
      cause: error,
    },
  );
}

/** Runs `body`; whatever it throws is wrapped with `context`. */
export function inContext<T>(context: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw wrapError(context, error);
  }
}

/** {@link inContext} for a promise. */
export async function inContextAsync<T>(context: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw wrapError(context, error);
  }
}

/** Whether a named thing does not exist: whatever was thrown is an error of code `NOT_FOUND`. */
export function isNotFound(error: unknown): error is OstrataError {
  return error instanceof OstrataError && error.code === 'NOT_FOUND';
}

/** Returns the message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error, e.g. `ENOENT`; undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) {
    return undefined;
  }
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Returns `value`, which the program's own logic guarantees to be defined. Throws a plain Error
 * otherwise, because that is a bug, not bad input. It is not meant for hot loops.
 * @param what names the value in the message, e.g. `layer 3`
 */
export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new Error(`bug: ${what} is missing`);
  }
  return value;
}
