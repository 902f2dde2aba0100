/** Extended attributes of files, symlinks not followed (xattr(7)). */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { OstrataError } from '../errors.js';
import { type Libc, libc } from './libc.js';

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux. */
const XATTR_MAX = 65536;
const READING = 'reading extended attributes (an archive repository can be read without)';
const WRITING = 'writing extended attributes (an archive repository can be written without)';

/** Used by one call at a time. The kernel allocates and clears as much as it is offered: nearly all fits the first. */
const buffers = [Buffer.allocUnsafeSlow(256), Buffer.allocUnsafeSlow(XATTR_MAX)];
/** Names with their NUL, by the list that the kernel gave: nearly all files of a tree have the same. */
const knownLists = new Map<string, readonly Uint8Array[]>();
/** Of no use are more: a tree where every file has names of its own. */
const MAX_KNOWN_LISTS = 1000;

/** Attributes of `path` by the bytes of their names, in the order of the file system; none where it has no xattrs. */
export function listXattrs(path: string): [name: Uint8Array, value: Uint8Array][] {
  checkPath(path);
  const calls = libc(READING);
  const list = filled(calls, (buffer) => calls.listXattrs(path, buffer, buffer.length));
  if (list === undefined) {
    if (calls.errno() === constants.errno.ENOTSUP) {
      return [];
    }
    throw ioError(calls.errno(), 'listing the xattrs of', path);
  }
  const xattrs: [Uint8Array, Uint8Array][] = [];
  for (const name of splitList(list)) {
    const value = readValue(calls, path, name);
    if (value === undefined) {
      throw ioError(calls.errno(), 'reading the xattrs of', path);
    }
    xattrs.push([name.subarray(0, -1), value]);
  }
  return xattrs;
}

/** The names in a list, each with its NUL. */
function splitList(bytes: Buffer): readonly Uint8Array[] {
  const list = bytes.toString('latin1');
  const known = knownLists.get(list);
  if (known !== undefined) {
    return known;
  }
  const names = [...list.matchAll(/[^\0]*\0/g)].map(([name]) => Buffer.from(name, 'latin1'));
  if (knownLists.size < MAX_KNOWN_LISTS) {
    knownLists.set(list, names);
  }
  return names;
}

/** The attribute `name` of `path`; undefined where it has none. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  checkPath(path);
  const calls = libc(READING);
  const value = readValue(calls, path, toCString(name));
  if (
    value === undefined &&
    calls.errno() !== constants.errno.ENODATA &&
    calls.errno() !== constants.errno.ENOTSUP
  ) {
    throw ioError(calls.errno(), `reading the xattr ${name} of`, path);
  }
  return value;
}

/** Sets the attribute `name` of `path`. */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  checkPath(path);
  const calls = libc(WRITING);
  if (calls.setXattr(path, toCString(name), value, value.length, 0) < 0) {
    throw ioError(calls.errno(), `setting the xattr ${name} of`, path);
  }
}

function readValue(calls: Libc, path: string, cName: Uint8Array): Uint8Array | undefined {
  const value = filled(calls, (buffer) => calls.getXattr(path, cName, buffer, buffer.length));
  return value && new Uint8Array(value);
}

/** What `call` puts into a buffer, valid until the next call; undefined where it fails. */
function filled(calls: Libc, call: (buffer: Buffer) => number): Buffer | undefined {
  for (const buffer of buffers) {
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

function checkPath(path: string): void {
  if (path.includes('\0')) {
    throw new OstrataError('USAGE', `NUL in ${JSON.stringify(path)}`);
  }
}

function toCString(text: string): Uint8Array {
  checkPath(text);
  return Buffer.from(`${text}\0`);
}

function ioError(errno: number, doing: string, path: string): OstrataError {
  const code = errno === constants.errno.ENOENT ? 'NOT_FOUND' : 'IO';
  return new OstrataError(code, `${doing} ${path}: ${getSystemErrorName(-errno)}`);
}
