/** Reading files in chunks, synchronously: ten times as fast as a stream for each of many files. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { BufferSource } from '../bytes/stream.js';
import { inContext, OstrataError } from '../errors.js';

/** Largest chunk that reading a file yields: larger ones gain nothing, smaller ones cost per call. */
export const CHUNK_SIZE = 1 << 20;

/** The bytes of a regular file, symlinks not followed, in `buffers` or else in one buffer: each chunk is valid until the next. */
export function readChunks(path: string, buffers?: BufferSource): Iterable<Uint8Array> {
  return buffers ? readInto(buffers, path) : readBuffered(path);
}

/** Of the last file that was read to its end: a new buffer for each of a system's files costs a third of the time to read them. */
let spare: Buffer | undefined;

function* readBuffered(path: string): Iterable<Uint8Array> {
  const buffer = spare ?? Buffer.allocUnsafeSlow(CHUNK_SIZE);
  spare = undefined; // others may read a file before this one has ended
  try {
    yield* readInto(() => buffer, path);
  } finally {
    spare = buffer;
  }
}

function* readInto(buffers: BufferSource, path: string): Iterable<Uint8Array> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (;;) {
      const buffer = buffers();
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) {
        return;
      }
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

/** Streams a file, or `length` bytes of it. The chunks share one buffer. */
export function* streamRange(path: string, offset = 0, length = Infinity): Generator<Uint8Array> {
  const fd = inContext('reading', () => openSync(path, 'r'));
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_SIZE);
    for (let at = 0; at < length; ) {
      const read = inContext(`reading ${path}`, () =>
        readSync(fd, buffer, 0, Math.min(CHUNK_SIZE, length - at), offset + at),
      );
      if (read === 0) {
        return;
      }
      yield buffer.subarray(0, read);
      at += read;
    }
  } finally {
    closeSync(fd);
  }
}

/** `length` bytes of a file from `offset` on, in memory; `LIMIT` above `limit` bytes. Fewer where the file ends before. */
export function readRange(path: string, offset: number, length: number, limit: number): Uint8Array {
  if (length > limit) {
    throw new OstrataError('LIMIT', `${path}: ${length} bytes, at most ${limit}`);
  }
  return Buffer.concat([...streamRange(path, offset, length)].map((chunk) => Buffer.from(chunk)));
}
