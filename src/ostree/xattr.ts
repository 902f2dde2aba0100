/**
 * Extended attributes of files, symlinks not followed (xattr(7), llistxattr(2), lgetxattr(2)). Node has no API for
 * them: libc is called through koffi, an optional dependency that is loaded at the first call.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { OstrataError } from '../errors.js';

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux. */
const XATTR_MAX = 65536;

interface Libc {
  list(path: Uint8Array, list: Uint8Array, size: number): number;
  get(path: Uint8Array, name: Uint8Array, value: Uint8Array, size: number): number;
  errno(): number;
}

/** One of these is loaded per thread; the buffer is used by one call at a time. */
let libc: Libc | undefined;
const buffer = Buffer.allocUnsafeSlow(XATTR_MAX);

function loadLibc(): Libc {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    return {
      list: library.func('intptr_t llistxattr(const uint8_t *path, void *list, size_t size)'),
      get: library.func('intptr_t lgetxattr(const uint8_t *path, const uint8_t *name, void *value, size_t size)'),
      errno: () => koffi.errno(),
    };
  } catch (cause) {
    throw new OstrataError(
      'UNSUPPORTED',
      'reading extended attributes needs the optional package koffi: npm install koffi (an archive repository can be read without)',
      { cause },
    );
  }
}

/** Attributes of `path` by the bytes of their names, in the order of the file system; none where it has no xattrs. */
export function listXattrs(path: string): [name: Uint8Array, value: Uint8Array][] {
  const cPath = toCString(path);
  libc ??= loadLibc();
  const length = libc.list(cPath, buffer, buffer.length);
  if (length < 0) {
    if (libc.errno() === constants.errno.ENOTSUP) return [];
    throw ioError(libc.errno(), 'listing the xattrs of', path);
  }
  const names = Buffer.from(buffer.subarray(0, length)); // the buffer is reused for the values
  const xattrs: [Uint8Array, Uint8Array][] = [];
  for (let at = 0; at < names.length; ) {
    const end = names.indexOf(0, at);
    const name = names.subarray(at, end + 1);
    const value = getInto(libc, cPath, name);
    if (value === undefined) throw ioError(libc.errno(), 'reading the xattrs of', path);
    xattrs.push([name.subarray(0, -1), value]);
    at = end + 1;
  }
  return xattrs;
}

/** The attribute `name` of `path`; undefined where it has none. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  libc ??= loadLibc();
  const value = getInto(libc, toCString(path), toCString(name));
  if (value === undefined && libc.errno() !== constants.errno.ENODATA && libc.errno() !== constants.errno.ENOTSUP)
    throw ioError(libc.errno(), `reading the xattr ${name} of`, path);
  return value;
}

function getInto(calls: Libc, cPath: Uint8Array, cName: Uint8Array): Uint8Array | undefined {
  const length = calls.get(cPath, cName, buffer, buffer.length);
  return length < 0 ? undefined : new Uint8Array(buffer.subarray(0, length));
}

function toCString(text: string): Uint8Array {
  if (text.includes('\0')) throw new OstrataError('USAGE', `NUL in ${JSON.stringify(text)}`);
  return Buffer.from(`${text}\0`);
}

function ioError(errno: number, doing: string, path: string): OstrataError {
  const code = errno === constants.errno.ENOENT ? 'NOT_FOUND' : 'IO';
  return new OstrataError(code, `${doing} ${path}: ${getSystemErrorName(-errno)}`);
}
