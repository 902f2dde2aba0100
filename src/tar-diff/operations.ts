/**
 * The operations of a tar-diff, which turns files of an image into the tar of a layer:
 * https://github.com/containers/tar-diff/blob/main/file-format.md
 *
 * - File: magic (8 bytes), then one zstd stream of operations up to its end.
 * - Operation: code (1 byte), size (unsigned LEB128), data (`size` bytes, only for some codes).
 *
 * Version 2 adds the operation `zstd-dict`. Sizes are bytes; numbers above 2^53 are refused.
 */
import { decodeUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';

export type TarDiffVersion = 1 | 2;

/** An operation and where it begins in the decompressed stream. */
export type Operation = Effect & { readonly offset: number };

type Effect =
  /** Emits the content. */
  | WithContent<'data'>
  /** Opens a file of the old image, whose position is 0 then. */
  | { readonly type: 'open'; readonly path: string }
  /** Emits the next `size` bytes of the open file. */
  | { readonly type: 'copy'; readonly size: number }
  /** Emits the content, to each byte of which the next byte of the open file is added. */
  | WithContent<'add-data'>
  /** Sets the position in the open file. */
  | { readonly type: 'seek'; readonly position: number }
  /** Emits what the content, a zstd frame, decompresses to; its prefix is the open file. */
  | WithContent<'zstd-dict'>;

interface WithContent<Type> {
  readonly type: Type;
  readonly size: number;
  /** It has to be read to its end before the next operation. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Limit for the path of an `open`, in bytes: PATH_MAX of Linux. */
const MAX_PATH_SIZE = 4096;
/** Limit for the data of an `add-data`, in bytes: that of the first implementation. */
const MAX_ADD_DATA_SIZE = 100 << 20;
/**
 * Limits for operations: so many, and one more for so many bytes that they emit. A few bytes hold
 * any number of operations that do nothing, each of which takes microseconds. Deltas of systems
 * have one for 280 bytes at most.
 */
const MAX_OPERATIONS = 2 ** 20;
const MIN_EMITTED_PER_OPERATION = 64;
/** A file of the old image is never below this folder, which holds its ostree objects. */
const OBJECTS_FOLDER = 'sysroot/ostree/';

const MAGIC: ReadonlyMap<string, TarDiffVersion> = new Map([
  ['tardf1\n\0', 1],
  ['tardf2\n\0', 2],
]);
export const MAGIC_SIZE = 8;

const CODES = { data: 0, open: 1, copy: 2, addData: 3, seek: 4, zstdDict: 5 } as const;

/** Returns the version of the tar-diff that begins with `magic`. Throws `CORRUPT` for others. */
export function parseMagic(magic: Uint8Array): TarDiffVersion {
  const version = MAGIC.get(Buffer.from(magic).toString('latin1'));
  if (version === undefined) {
    const start = Buffer.from(magic).toString('hex');
    throw new OstrataError('CORRUPT', `begins with ${start}, expected tardf1 or tardf2 (offset 0)`);
  }
  return version;
}

/** Returns the first bytes of a tar-diff of version 2. */
export function encodeMagic(): Uint8Array {
  return Buffer.from('tardf2\n\0', 'latin1');
}

/** Returns the beginning of a `data`, which `size` bytes have to follow. */
export function encodeData(size: number): Uint8Array {
  return encodeHeader(CODES.data, size);
}

/** Throws `UNSUPPORTED` for a path that readers refuse. */
export function encodeOpen(path: string): Uint8Array {
  const bytes = Buffer.from(path);
  const fault = pathFault(path, bytes.length);
  if (fault !== undefined) {
    throw new OstrataError('UNSUPPORTED', `the path ${fault}`);
  }
  return Buffer.concat([encodeHeader(CODES.open, bytes.length), bytes]);
}

export function encodeCopy(size: number): Uint8Array {
  return encodeHeader(CODES.copy, size);
}

/** Returns the beginning of an `add-data`, which `size` bytes have to follow. */
export function encodeAddData(size: number): Uint8Array {
  return encodeHeader(CODES.addData, size);
}

export function encodeSeek(position: number): Uint8Array {
  return encodeHeader(CODES.seek, position);
}

/** Returns the beginning of a `zstd-dict`, which a frame of `size` bytes has to follow. */
export function encodeZstdDict(size: number): Uint8Array {
  return encodeHeader(CODES.zstdDict, size);
}

function encodeHeader(code: number, size: number): Uint8Array {
  const bytes = [code];
  let rest = size;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Returns why no file of an image can be opened by `path`; undefined if one can. */
export function pathFault(path: string, size: number): string | undefined {
  if (size > MAX_PATH_SIZE) {
    return `has ${size} bytes, at most ${MAX_PATH_SIZE}`;
  }
  const shown = JSON.stringify(path);
  const isCanonical = path.split('/').every((part) => !['', '.', '..'].includes(part));
  if (!isCanonical || path.includes('\0')) {
    return `${shown} is not relative without ., .., empty parts and NUL`;
  }
  return path.startsWith(OBJECTS_FOLDER) ? `${shown} is not a file of the root` : undefined;
}

/**
 * Reads the operations of a decompressed tar-diff. Throws `CORRUPT` or `LIMIT` with the offset in
 * the decompressed stream and the rule that is broken. When the caller stops, the stream is closed.
 */
export async function* readOperations(
  version: TarDiffVersion,
  stream: AsyncIterable<Uint8Array>,
  maxOperations = MAX_OPERATIONS,
): AsyncGenerator<Operation> {
  const input = new StreamCursor(stream);
  let emitted = 0;
  try {
    for (let count = 0; !(await input.isAtEnd()); count++) {
      const offset = input.offset;
      if (count >= maxOperations + emitted / MIN_EMITTED_PER_OPERATION) {
        const rule = `more than ${count} operations for ${emitted} bytes`;
        throw input.error('LIMIT', rule, offset);
      }
      const operation = await readOperation(version, input);
      emitted += 'size' in operation ? operation.size : 0;
      yield { ...operation, offset };
      if (input.pending > 0) {
        throw new Error(`bug: the data of the operation at ${offset} was not read`);
      }
    }
  } finally {
    await input.close();
  }
}

async function readOperation(version: TarDiffVersion, input: StreamCursor): Promise<Effect> {
  const start = input.offset;
  const code = await input.byte();
  const size = await readSize(input);
  switch (code) {
    case CODES.data:
      return { type: 'data', size, content: input.content(size) };
    case CODES.open:
      return { type: 'open', path: await readPath(input, size, start) };
    case CODES.copy:
      return { type: 'copy', size };
    case CODES.addData:
      if (size > MAX_ADD_DATA_SIZE) {
        const rule = `add-data of ${size} bytes, at most ${MAX_ADD_DATA_SIZE}`;
        throw input.error('LIMIT', rule, start);
      }
      return { type: 'add-data', size, content: input.content(size) };
    case CODES.seek:
      return { type: 'seek', position: size };
    case CODES.zstdDict:
      if (version === 1) {
        throw input.error('CORRUPT', 'zstd-dict in version 1', start);
      }
      return { type: 'zstd-dict', size, content: input.content(size) };
    default:
      throw input.error('CORRUPT', `unknown operation ${code}`, start);
  }
}

async function readSize(input: StreamCursor): Promise<number> {
  const start = input.offset;
  let size = 0;
  for (let factor = 1; ; factor *= 0x80) {
    const byte = await input.byte();
    size += (byte & 0x7f) * factor;
    if (size > Number.MAX_SAFE_INTEGER || factor > Number.MAX_SAFE_INTEGER) {
      throw input.error('LIMIT', 'a size of more than 2^53', start);
    }
    if (byte < 0x80) {
      return size;
    }
  }
}

async function readPath(input: StreamCursor, size: number, start: number): Promise<string> {
  if (size > MAX_PATH_SIZE) {
    throw input.error('LIMIT', `open: a path of ${size} bytes, at most ${MAX_PATH_SIZE}`, start);
  }
  const parts: Uint8Array[] = [];
  for await (const chunk of input.content(size)) {
    parts.push(Buffer.from(chunk));
  }
  const path = decodeUtf8(Buffer.concat(parts));
  const fault = path === undefined ? 'is not UTF-8' : pathFault(path, size);
  if (path === undefined || fault !== undefined) {
    throw input.error('CORRUPT', `open: the path ${fault}`, start);
  }
  return path;
}

/** Reads a stream piece by piece. */
class StreamCursor {
  readonly #stream: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;
  /** Offset in the stream. */
  offset = 0;
  /** Bytes of the current content that were not read. */
  pending = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream[Symbol.asyncIterator]();
  }

  error(code: 'CORRUPT' | 'LIMIT', rule: string, offset: number): OstrataError {
    return new OstrataError(code, `${rule} (offset ${offset} of the operations)`);
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      const { done, value } = await this.#stream.next();
      if (done) {
        return true;
      }
      this.#chunk = value;
      this.#at = 0;
    }
    return false;
  }

  async close(): Promise<void> {
    await this.#stream.return?.();
  }

  async byte(): Promise<number> {
    const [byte = 0] = await this.#take(1);
    return byte;
  }

  /** Yields the next `size` bytes. */
  content(size: number): AsyncGenerator<Uint8Array> {
    this.pending = size;
    return this.#content();
  }

  async *#content(): AsyncGenerator<Uint8Array> {
    while (this.pending > 0) {
      const bytes = await this.#take(this.pending);
      this.pending -= bytes.length;
      yield bytes;
    }
  }

  /** Returns at least one and at most `size` bytes. */
  async #take(size: number): Promise<Uint8Array> {
    if (await this.isAtEnd()) {
      throw this.error('CORRUPT', 'ends within an operation', this.offset);
    }
    const bytes = this.#chunk.subarray(this.#at, this.#at + size);
    this.#at += bytes.length;
    this.offset += bytes.length;
    return bytes;
  }
}
