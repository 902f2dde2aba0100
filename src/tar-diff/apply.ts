/** Applies a tar-diff: rebuilds the tar of a layer from the files of the old image. */
import { Duplex } from 'node:stream';
import { type ByteStream, readAtLeast } from '../bytes/stream.js';
import { decompressZstd } from '../bytes/zstd-decompress.js';
import { OstrataError, wrapError } from '../errors.js';
import { MAGIC_SIZE, type Operation, parseMagic, readOperations } from './operations.js';
import { decompressWithPrefix } from './patch-frame.js';

/** Limit for a rebuilt tar, in bytes: 64 GiB. A few bytes can copy a file any number of times. */
export const MAX_TAR_SIZE = 2 ** 36;
/**
 * Limit for the sizes of all files that are opened, or precede a frame, in bytes: 1 TiB. A few
 * bytes can have a large file read any number of times, and give nothing.
 */
export const MAX_READ_SIZE = 2 ** 40;
/** The largest window that other programs decompress, as a power of two: 128 MiB. */
const MAX_WINDOW_LOG = 27;

/** A file of the old image. */
export interface OldFile {
  readonly size: number;
  /** Yields a range within the file. A chunk is valid until the next one is asked for. */
  read(offset: number, length: number): Iterable<Uint8Array>;
}

/** The files of the old image. Only one file at a time is used. */
export interface OldFiles {
  /**
   * Opens a regular file by its path, which is relative to the root and has no `.` or `..`.
   * Symlinks are not followed. Throws `NOT_FOUND` if there is none.
   */
  open(path: string): Promise<OldFile>;
}

/**
 * Yields the tar that a tar-diff of version 1 or 2 makes from files of the old image. Whether it is
 * the right tar, only its diffId shows. A chunk is valid until the next one is asked for. Memory is
 * bounded by the windows of the zstd streams; see {@link decompressWithPrefix}.
 *
 * Throws `CORRUPT`, `LIMIT` or `UNSUPPORTED` for a tar-diff that breaks a rule, and what
 * {@link OldFiles.open} throws.
 */
export async function* applyTarDiff(
  tarDiff: ByteStream,
  files: OldFiles,
): AsyncGenerator<Uint8Array> {
  const patcher = new Patcher(files);
  for await (const operation of tarDiffOperations(tarDiff)) {
    yield* patcher.apply(operation);
  }
}

/**
 * Returns the stream that a tar-diff is piped through to get its tar. It throws what
 * {@link applyTarDiff} throws.
 */
export function tarDiffDecompressor(files: OldFiles): Duplex {
  return Duplex.from(async function* rebuild(tarDiff: AsyncIterable<Uint8Array>) {
    for await (const chunk of applyTarDiff(tarDiff, files)) {
      yield Buffer.from(chunk); // streams of Node keep what they get
    }
  });
}

/**
 * Yields the operations of a tar-diff; see {@link readOperations}. When the caller stops, the
 * tar-diff is closed.
 */
export async function* tarDiffOperations(tarDiff: ByteStream): AsyncGenerator<Operation> {
  const input = iterate(tarDiff);
  const start = await readAtLeast(input, MAGIC_SIZE);
  const version = await closedOnError(input, () => parseMagic(start.subarray(0, MAGIC_SIZE)));

  const rest = chain(start.subarray(MAGIC_SIZE), input);
  const stream = decompressZstd(rest, MAX_WINDOW_LOG);
  yield* readOperations(version, stream);
}

async function closedOnError<T>(input: AsyncGenerator, body: () => T): Promise<T> {
  try {
    return body();
  } catch (error) {
    await input.return(undefined);
    throw error;
  }
}

async function* iterate(stream: ByteStream): AsyncGenerator<Uint8Array> {
  yield* stream;
}

async function* chain(
  first: Uint8Array,
  others: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* others;
  } finally {
    await others.return(undefined);
  }
}

/** The state of a rebuild: the open file and the position in it. */
class Patcher {
  readonly #files: OldFiles;
  #path = '';
  #file: OldFile | undefined;
  #position = 0;
  #tarSize = 0;
  #readSize = 0;

  constructor(files: OldFiles) {
    this.#files = files;
  }

  async *apply(operation: Operation): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#emit(operation)) {
        this.#checkSize(chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw wrapError(`${operation.type} at offset ${operation.offset}`, error);
    }
  }

  #checkSize(added: number): void {
    this.#tarSize += added;
    if (this.#tarSize > MAX_TAR_SIZE) {
      throw new OstrataError('LIMIT', `makes a tar of more than ${MAX_TAR_SIZE} bytes`);
    }
  }

  #checkRead(added: number): void {
    this.#readSize += added;
    if (this.#readSize > MAX_READ_SIZE) {
      throw new OstrataError('LIMIT', `reads files of more than ${MAX_READ_SIZE} bytes`);
    }
  }

  async *#emit(operation: Operation): AsyncGenerator<Uint8Array> {
    switch (operation.type) {
      case 'data':
        yield* operation.content;
        return;
      case 'open':
        await this.#open(operation.path);
        return;
      case 'seek':
        this.#seek(operation.position);
        return;
      case 'copy':
        yield* this.#take(operation.size);
        return;
      case 'add-data':
        yield* this.#add(operation.content);
        return;
      case 'zstd-dict':
        yield* this.#decompress(operation.content);
    }
  }

  async #open(path: string): Promise<void> {
    this.#file = await this.#files.open(path);
    this.#checkRead(this.#file.size);
    this.#path = path;
    this.#position = 0;
  }

  /** The position is checked when bytes are read there. */
  #seek(position: number): void {
    this.#openFile();
    this.#position = position;
  }

  *#take(length: number): Generator<Uint8Array> {
    const file = this.#openFile();
    const start = this.#position;
    if (start + length > file.size) {
      throw new OstrataError(
        'CORRUPT',
        `needs ${length} bytes at ${start} of ${this.#path}, which has ${file.size}`,
      );
    }
    this.#position += length;
    yield* file.read(start, length);
  }

  async *#add(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const added of content) {
      const sum = Buffer.from(added);
      let at = 0;
      for (const chunk of this.#take(sum.length)) {
        for (const byte of chunk) {
          sum[at] = (sum[at] ?? 0) + byte; // modulo 256
          at++;
        }
      }
      yield sum;
    }
  }

  async *#decompress(frame: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { size } = this.#openFile();
    this.#checkRead(size);
    this.#position = 0;
    yield* decompressWithPrefix(frame, { size, chunks: this.#take(size) });
  }

  #openFile(): OldFile {
    if (this.#file === undefined) {
      throw new OstrataError('CORRUPT', 'no file is open');
    }
    return this.#file;
  }
}
