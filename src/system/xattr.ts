/** Extended attributes of files (xattr(7)); symlinks are not followed. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { OstrataError } from '../errors.js';
import { type Libc, libc } from './libc.js';

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux. */
const XATTR_MAX = 65536;
/**
 * Size of the buffer that is tried first. The kernel allocates and clears as many bytes as a call
 * offers, and nearly all results fit into this many.
 */
const USUAL_SIZE = 256;
/** Limit for the cache, which a tree with other attribute names in every file would only fill. */
const MAX_CACHED_LISTS = 1000;
const READING = 'reading extended attributes (an archive repository can be read without)';
const WRITING = 'writing extended attributes (an archive repository can be written without)';

type NamedValue = [name: Uint8Array, value: Uint8Array];

/**
 * Returns the attributes of `path` as bytes, in the order of the file system. A file system without
 * attributes gives an empty list. Throws `NOT_FOUND`, `IO`, and `UNSUPPORTED` without koffi.
 */
export function listXattrs(path: string): NamedValue[] {
  checkPath(path);
  const calls = libc(READING);
  const list = results.receive(calls, (buffer) => calls.listXattrs(path, buffer, buffer.length));
  if (list === undefined) {
    if (calls.errno() === constants.errno.ENOTSUP) {
      return [];
    }
    throw ioError(calls.errno(), 'listing the xattrs of', path);
  }

  const xattrs: NamedValue[] = [];
  for (const name of nameLists.split(list)) {
    const value = readValue(calls, path, name);
    if (value === undefined) {
      throw ioError(calls.errno(), 'reading the xattrs of', path);
    }
    xattrs.push([name.subarray(0, -1), value]);
  }
  return xattrs;
}

/**
 * Returns the attribute `name` of `path`, or undefined if it has no such attribute. Throws
 * `NOT_FOUND`, `IO`, and `UNSUPPORTED` without koffi.
 */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  checkPath(path);
  const calls = libc(READING);
  const value = readValue(calls, path, toCString(name));
  if (value !== undefined) {
    return value;
  }

  const errno = calls.errno();
  if (errno === constants.errno.ENODATA || errno === constants.errno.ENOTSUP) {
    return undefined;
  }
  throw ioError(errno, `reading the xattr ${name} of`, path);
}

/** Throws `UNSUPPORTED` if attributes cannot be written, because koffi is not installed. */
export function requireXattrs(): void {
  libc(WRITING);
}

/**
 * Sets the attribute `name` of `path`. Throws `NOT_FOUND`, `IO`, and `UNSUPPORTED` without koffi.
 */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  checkPath(path);
  const calls = libc(WRITING);
  if (calls.setXattr(path, toCString(name), value, value.length, 0) < 0) {
    throw ioError(calls.errno(), `setting the xattr ${name} of`, path);
  }
}

/** Receives the results of calls in buffers that are used again and again. */
class ResultBuffers {
  readonly #buffers = [Buffer.allocUnsafeSlow(USUAL_SIZE), Buffer.allocUnsafeSlow(XATTR_MAX)];

  /**
   * Returns what `call` puts into a buffer, valid until the next call; undefined if it fails. A
   * result that does not fit the small buffer is asked for again with the large one.
   */
  receive(calls: Libc, call: (buffer: Buffer) => number): Buffer | undefined {
    for (const buffer of this.#buffers) {
      const length = call(buffer);
      if (length >= 0) {
        return buffer.subarray(0, length);
      }
      if (calls.errno() !== constants.errno.ERANGE) {
        break;
      }
    }
    return undefined;
  }
}

/**
 * Splits the kernel's lists of names. The results are cached, because nearly all files of a tree
 * have one of a few lists.
 */
class NameLists {
  readonly #cache = new Map<string, readonly Uint8Array[]>();

  /** Returns the names in a list, each with the NUL that ends it. */
  split(bytes: Buffer): readonly Uint8Array[] {
    const list = bytes.toString('latin1');
    const cached = this.#cache.get(list);
    if (cached !== undefined) {
      return cached;
    }

    const names = [...list.matchAll(/[^\0]*\0/g)].map(([name]) => Buffer.from(name, 'latin1'));
    if (this.#cache.size < MAX_CACHED_LISTS) {
      this.#cache.set(list, names);
    }
    return names;
  }
}

const results = new ResultBuffers();
const nameLists = new NameLists();

function readValue(calls: Libc, path: string, cName: Uint8Array): Uint8Array | undefined {
  const value = results.receive(calls, (buffer) =>
    calls.getXattr(path, cName, buffer, buffer.length),
  );
  return value && new Uint8Array(value);
}

function checkPath(path: string): void {
  if (path.includes('\0')) {
    throw new OstrataError('USAGE', `NUL in ${JSON.stringify(path)}`);
  }
}

function toCString(text: string): Uint8Array {
  checkPath(text);
  return Buffer.from(`${text}\0`);
}

function ioError(errno: number, action: string, path: string): OstrataError {
  const code = errno === constants.errno.ENOENT ? 'NOT_FOUND' : 'IO';
  return new OstrataError(code, `${action} ${path}: ${getSystemErrorName(-errno)}`);
}
