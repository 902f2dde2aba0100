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
/** Names with their NUL, by the list that the kernel gave: nearly all files of a tree have the same. */
const knownLists = new Map<string, readonly Uint8Array[]>();
/** Of no use are more: a tree where every file has names of its own. */
const MAX_KNOWN_LISTS = 1000;

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
  const xattrs: [Uint8Array, Uint8Array][] = [];
  for (const name of splitList(length)) {
    const value = getInto(libc, cPath, name);
    if (value === undefined) throw ioError(libc.errno(), 'reading the xattrs of', path);
    xattrs.push([name.subarray(0, -1), value]);
  }
  return xattrs;
}

/** The names in the first `length` bytes of the buffer, each with its NUL. */
function splitList(length: number): readonly Uint8Array[] {
  const list = buffer.toString('latin1', 0, length);
  const known = knownLists.get(list);
  if (known !== undefined) return known;
  const names = [...list.matchAll(/[^\0]*\0/g)].map(([name]) => Buffer.from(name, 'latin1'));
  if (knownLists.size < MAX_KNOWN_LISTS) knownLists.set(list, names);
  return names;
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
