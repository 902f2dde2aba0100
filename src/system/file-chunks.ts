/**
 * Reads files in chunks, synchronously. For the many small files of a system this is ten times as
 * fast as a stream for each of them.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { BufferSource } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';

/** Size of a chunk: larger ones gain nothing, smaller ones cost more system calls. */
export const CHUNK_SIZE = 1 << 20;

export interface ChunkOptions {
  /** The byte to begin with; 0 by default. */
  readonly offset?: number | undefined;
  /** Bytes to read at most; by default everything up to the end of the file. */
  readonly length?: number | undefined;
  /** Buffers that the chunks are read into. By default all chunks share one buffer. */
  readonly buffers?: BufferSource | undefined;
  /** Whether a symlink at `path` is followed. By default it is an error. */
  readonly followSymlink?: boolean | undefined;
}

/**
 * Yields the bytes of a regular file, or a range of them. A chunk is valid until the next one is
 * asked for. The file is opened when the first chunk is asked for. Errors are those of Node, not
 * OstrataErrors.
 */
export function readChunks(path: string, options: ChunkOptions = {}): Iterable<Uint8Array> {
  const { buffers } = options;
  return buffers ? readInto(buffers, path, options) : readIntoSharedBuffer(path, options);
}

/**
 * Returns the `length` bytes of a file from `offset` on, or fewer if the file ends earlier. A
 * symlink at `path` is followed. Throws `LIMIT` if `length` is above `limit`.
 */
export function readRange(path: string, offset: number, length: number, limit: number): Uint8Array {
  if (length > limit) {
    throw new OstrataError('LIMIT', `${path}: ${length} bytes, at most ${limit}`);
  }
  const buffers = () => Buffer.allocUnsafeSlow(Math.min(length, CHUNK_SIZE));
  const chunks = [...readChunks(path, { offset, length, buffers, followSymlink: true })];
  const [first] = chunks;
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks);
}

/** Returns `sha256:HEX` of all bytes of a file. A symlink at `path` is followed. */
export function fileDigest(path: string): string {
  const hash = createHash('sha256');
  for (const chunk of readChunks(path, { followSymlink: true })) {
    hash.update(chunk);
  }
  return `sha256:${hash.digest('hex')}`;
}

/**
 * Keeps the buffer of the file that was read last for the file that is read next. Allocating a new
 * one for each file of a system would take a third of the time needed to read them all.
 */
class BufferKeeper {
  #spare: Buffer | undefined;

  /** Hands out the spare buffer, or a new one while another file is being read into that. */
  take(): Buffer {
    const buffer = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_SIZE);
    this.#spare = undefined;
    return buffer;
  }

  giveBack(buffer: Buffer): void {
    this.#spare = buffer;
  }
}

const keeper = new BufferKeeper();

function* readIntoSharedBuffer(path: string, options: ChunkOptions): Iterable<Uint8Array> {
  const buffer = keeper.take();
  try {
    yield* readInto(() => buffer, path, options);
  } finally {
    keeper.giveBack(buffer);
  }
}

function* readInto(
  buffers: BufferSource,
  path: string,
  { offset = 0, length = Infinity, followSymlink = false }: ChunkOptions,
): Iterable<Uint8Array> {
  // A pipe that has taken the place of the file would block forever; reading it fails instead.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const fd = openSync(path, followSymlink ? flags : flags | constants.O_NOFOLLOW);
  try {
    const end = offset + length;
    let position = offset;
    while (position < end) {
      const buffer = buffers();
      const wanted = Math.min(buffer.length, end - position);
      const count = readSync(fd, buffer, 0, wanted, position);
      if (count === 0) {
        return;
      }
      yield buffer.subarray(0, count);
      position += count;
    }
  } finally {
    closeSync(fd);
  }
}
