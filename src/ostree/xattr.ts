/** Extended attributes of files, symlinks not followed (xattr(7)). */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { OstrataError } from '../errors.js';
import { type Libc, libc } from './libc.js';

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux. */
const XATTR_MAX = 65536;
const READING = 'reading extended attributes (an archive repository can be read without)';
const WRITING = 'writing extended attributes (an archive repository can be written without)';

/** Used by one call at a time. */
const buffer = Buffer.allocUnsafeSlow(XATTR_MAX);
/** Names with their NUL, by the list that the kernel gave: nearly all files of a tree have the same. */
const knownLists = new Map<string, readonly Uint8Array[]>();
/** Of no use are more: a tree where every file has names of its own. */
const MAX_KNOWN_LISTS = 1000;

/** Attributes of `path` by the bytes of their names, in the order of the file system; none where it has no xattrs. */
export function listXattrs(path: string): [name: Uint8Array, value: Uint8Array][] {
  const cPath = toCString(path);
  const calls = libc(READING);
  const length = calls.listXattrs(cPath, buffer, buffer.length);
  if (length < 0) {
    if (calls.errno() === constants.errno.ENOTSUP) return [];
    throw ioError(calls.errno(), 'listing the xattrs of', path);
  }
  const xattrs: [Uint8Array, Uint8Array][] = [];
  for (const name of splitList(length)) {
    const value = getInto(calls, cPath, name);
    if (value === undefined) throw ioError(calls.errno(), 'reading the xattrs of', path);
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
  const calls = libc(READING);
  const value = getInto(calls, toCString(path), toCString(name));
  if (value === undefined && calls.errno() !== constants.errno.ENODATA && calls.errno() !== constants.errno.ENOTSUP)
    throw ioError(calls.errno(), `reading the xattr ${name} of`, path);
  return value;
}

/** Sets the attribute `name` of `path`. */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  const calls = libc(WRITING);
  if (calls.setXattr(toCString(path), toCString(name), value, value.length, 0) < 0)
    throw ioError(calls.errno(), `setting the xattr ${name} of`, path);
}

function getInto(calls: Libc, cPath: Uint8Array, cName: Uint8Array): Uint8Array | undefined {
  const length = calls.getXattr(cPath, cName, buffer, buffer.length);
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
