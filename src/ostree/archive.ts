/**
 * Content objects of `archive` repositories: `HH/REST.filez` = header (file.ts), then raw deflate (RFC 1951).
 */
import { closeSync, createReadStream, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { createInflateRaw, inflateRawSync } from 'node:zlib';
import type { ByteStream } from '../bytes/stream.js';
import { OstrataError, wrapError } from '../errors.js';
import { CHUNK_SIZE } from '../system/file-chunks.js';
import type { ContentStore } from './content.js';
import {
  decodeFilezHeader,
  decodeHeaderPrefix,
  fileType,
  HEADER_PREFIX_SIZE,
} from './objects/file.js';
import { objectPath } from './objects/object-name.js';
import type { XattrsInterner } from './objects/xattr-list.js';

/** First read of an object: holds the header of nearly all of them. */
const HEADER_READ_SIZE = 1024;
/** Objects up to this many bytes, both compressed and not, are inflated in one call. */
const MAX_SYNC_SIZE = 8 << 20;

export class ArchiveStore implements ContentStore {
  readonly #objects: string;
  readonly #interner: XattrsInterner;

  constructor(objects: string, interner: XattrsInterner) {
    this.#objects = objects;
    this.#interner = interner;
  }

  info(checksum: string) {
    const opened = openIfThere(this.#path(checksum));
    if (opened === undefined) {
      return undefined;
    }
    try {
      const header = decodeFilezHeader(readHeader(opened));
      const { xattrs, bytes } = this.#interner.intern(header.xattrsBytes);
      return { ...header, type: fileType(header.mode), xattrs, xattrsBytes: bytes };
    } finally {
      closeSync(opened);
    }
  }

  read(checksum: string, info: { readonly size: number }): ByteStream {
    const path = this.#path(checksum);
    const fd = openSync(path, 'r');
    try {
      const headerSize = HEADER_PREFIX_SIZE + headerLength(fd);
      const { size } = fstatSync(fd);
      if (size - headerSize > MAX_SYNC_SIZE || info.size > MAX_SYNC_SIZE) {
        return inflateStream(path, headerSize);
      }
      return inflateWhole(readFileSync(fd), headerSize, info.size, path);
    } finally {
      closeSync(fd);
    }
  }

  #path(checksum: string): string {
    return join(this.#objects, objectPath(checksum, 'filez'));
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

function headerLength(fd: number): number {
  return decodeHeaderPrefix(readAt(fd, 0, HEADER_PREFIX_SIZE));
}

function readHeader(fd: number): Uint8Array {
  const start = readAt(fd, 0, HEADER_READ_SIZE);
  const end = HEADER_PREFIX_SIZE + decodeHeaderPrefix(start.subarray(0, HEADER_PREFIX_SIZE));
  const bytes = end <= start.length ? start : readAt(fd, 0, end);
  if (bytes.length < end) {
    throw new OstrataError('CORRUPT', `header of ${end} bytes in ${bytes.length} bytes`);
  }
  return bytes.subarray(HEADER_PREFIX_SIZE, end);
}

/** Up to `length` bytes from `position`, fewer at the end of the file. */
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

/** `maxOutputLength` bounds what a false size can make zlib allocate; one byte more than the size shows that it was false. */
function* inflateWhole(
  filez: Uint8Array,
  start: number,
  size: number,
  path: string,
): Iterable<Uint8Array> {
  let content: Uint8Array;
  try {
    content = inflateRawSync(filez.subarray(start), { maxOutputLength: size + 1 });
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
    for await (const chunk of source.pipe(inflate)) {
      yield chunk as Uint8Array;
    }
  } catch (error) {
    throw inflateError(path, error);
  } finally {
    source.destroy();
    inflate.destroy();
  }
}

function inflateError(path: string, error: unknown): OstrataError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!code.startsWith('Z_') && code !== 'ERR_BUFFER_TOO_LARGE') {
    return wrapError(`reading ${path}`, error);
  }
  return new OstrataError('CORRUPT', `inflating ${path}: ${(error as Error).message}`, {
    cause: error,
  });
}
