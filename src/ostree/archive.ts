/**
 * Reads the content objects of `archive` repositories: `HH/REST.filez` is a header
 * (objects/file.ts), then the content as a raw deflate stream (RFC 1951).
 */
import { closeSync, createReadStream, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { createInflateRaw, inflateRawSync } from 'node:zlib';
import type { ByteStream } from '../bytes/stream.js';
import { errnoOf, OstrataError, wrapError } from '../errors.js';
import { CHUNK_SIZE } from '../system/file-chunks.js';
import type { ContentStore } from './content.js';
import {
  decodeFilezHeader,
  decodeHeaderPrefix,
  type FileInfo,
  fileType,
  HEADER_PREFIX_SIZE,
} from './objects/file.js';
import { objectPath } from './objects/object-name.js';
import type { XattrsInterner } from './objects/xattr-list.js';

/** Bytes read first from an object: enough for nearly all headers. */
const FIRST_READ_SIZE = 1024;
/** An object is inflated in one call if both of its sizes, in bytes, are at most this. */
const MAX_SYNC_SIZE = 8 << 20;

export class ArchiveStore implements ContentStore {
  readonly #objects: string;
  readonly #interner: XattrsInterner;

  /** @param objects the directory that holds the objects */
  constructor(objects: string, interner: XattrsInterner) {
    this.#objects = objects;
    this.#interner = interner;
  }

  info(checksum: string): FileInfo | undefined {
    const fd = openIfPresent(this.#path(checksum));
    if (fd === undefined) {
      return undefined;
    }
    try {
      const header = decodeFilezHeader(readHeader(fd));
      const { xattrs, bytes } = this.#interner.intern(header.xattrsBytes);
      return { ...header, type: fileType(header.mode), xattrs, xattrsBytes: bytes };
    } finally {
      closeSync(fd);
    }
  }

  read(checksum: string, info: { readonly size: number }): ByteStream {
    const path = this.#path(checksum);
    const fd = openSync(path, 'r');
    try {
      const prefix = readAt(fd, 0, HEADER_PREFIX_SIZE);
      const contentStart = HEADER_PREFIX_SIZE + decodeHeaderPrefix(prefix);
      const compressedSize = fstatSync(fd).size - contentStart;
      if (Math.max(compressedSize, info.size) > MAX_SYNC_SIZE) {
        return inflateStream(path, contentStart);
      }
      return inflateAll(readFileSync(fd).subarray(contentStart), info.size, path);
    } finally {
      closeSync(fd);
    }
  }

  #path(checksum: string): string {
    return join(this.#objects, objectPath(checksum, 'filez'));
  }
}

function openIfPresent(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

/** Returns the header without its prefix. */
function readHeader(fd: number): Uint8Array {
  const start = readAt(fd, 0, FIRST_READ_SIZE);
  const end = HEADER_PREFIX_SIZE + decodeHeaderPrefix(start.subarray(0, HEADER_PREFIX_SIZE));
  const bytes = end <= start.length ? start : readAt(fd, 0, end);
  if (bytes.length < end) {
    throw new OstrataError('CORRUPT', `header of ${end} bytes in a file of ${bytes.length} bytes`);
  }
  return bytes.subarray(HEADER_PREFIX_SIZE, end);
}

/** Reads up to `length` bytes from `position` on, fewer at the end of the file. */
function readAt(fd: number, position: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  while (at < length) {
    const count = readSync(fd, bytes, at, length - at, position + at);
    if (count === 0) {
      break;
    }
    at += count;
  }
  return bytes.subarray(0, at);
}

/**
 * Inflates content in one call. `maxOutputLength` bounds the memory that a deflate bomb can take.
 * It is one byte more than the stated size, so that the caller, which checks the content, notices
 * when there is more of it.
 */
function* inflateAll(deflated: Uint8Array, size: number, path: string): Iterable<Uint8Array> {
  let content: Uint8Array;
  try {
    content = inflateRawSync(deflated, { maxOutputLength: size + 1 });
  } catch (error) {
    throw inflateError(path, error);
  }
  if (content.length > 0) {
    yield content;
  }
}

async function* inflateStream(path: string, start: number): AsyncIterable<Uint8Array> {
  const source = createReadStream(path, { start, highWaterMark: CHUNK_SIZE });
  const inflate = createInflateRaw({ chunkSize: CHUNK_SIZE });
  source.on('error', (error) => inflate.destroy(error));
  try {
    yield* source.pipe(inflate);
  } catch (error) {
    throw inflateError(path, error);
  } finally {
    source.destroy();
    inflate.destroy();
  }
}

/** Returns a `CORRUPT` error for an error of zlib. An error of reading the file keeps its code. */
function inflateError(path: string, error: unknown): OstrataError {
  const code = errnoOf(error) ?? '';
  if (!code.startsWith('Z_') && code !== 'ERR_BUFFER_TOO_LARGE') {
    return wrapError(`reading ${path}`, error);
  }
  const { message } = wrapError(`inflating ${path}`, error);
  return new OstrataError('CORRUPT', message, { cause: error });
}
