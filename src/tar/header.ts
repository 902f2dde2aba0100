/**
 * tar entry headers: POSIX ustar blocks of 512 bytes, preceded by a PAX extended header (`x`) where ustar cannot say it.
 * Spec: IEEE Std 1003.1 (pax, "ustar Interchange Format" and "pax Extended Header"); numbers are NUL-terminated octal text.
 *
 *     name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | typeflag 1 | linkname 100 |
 *     magic "ustar\0" | version "00" | uname 32 | gname 32 | devmajor 8 | devminor 8 | prefix 155 | 12 zero bytes
 *
 * Written here rather than with tar-stream because layers need what it cannot express (mode 0, uids above 2^18,
 * binary xattrs) from synchronous code; it reads layers, and reads and writes archives.
 */

import { isPrintableAscii } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';

/** Raised when the same entries give other bytes: part of every layer key. */
export const TAR_WRITER_VERSION = 1;

export const TAR_BLOCK = 512;
/** Two zero blocks end an archive. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * TAR_BLOCK);
/** xattr records are SCHILY.xattr.NAME=VALUE, as star, GNU tar, Go and Rust read them. */
export const PAX_XATTR_PREFIX = 'SCHILY.xattr.';

export type TarEntryType = 'file' | 'link' | 'symlink' | 'directory';
const TYPE_FLAGS = { file: 0x30, link: 0x31, symlink: 0x32, directory: 0x35, pax: 0x78 } as const;

export interface TarEntry {
  /** Relative, without trailing slash (directories get theirs here). */
  readonly name: string;
  readonly type: TarEntryType;
  /** Permission bits, the type bits are ignored. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  /** Target of a link or symlink, kept literally. */
  readonly linkname?: string | undefined;
  readonly xattrs?: Xattrs | undefined;
}

const NAME_LENGTH = 100;
const PREFIX_LENGTH = 155;
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** The header block or blocks of `entry`, without its content. mtime is 0, user and group names are empty. */
export function encodeTarHeader(entry: TarEntry): Uint8Array {
  const name = byteString(entry.type === 'directory' ? `${entry.name}/` : entry.name);
  const linkname = byteString(entry.linkname ?? '');
  if (name.includes('\0') || linkname.includes('\0')) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar entry ${JSON.stringify(entry.name)}: a name cannot hold a NUL`,
    );
  }

  const records: Uint8Array[] = [];
  const split = isPrintableAscii(name) ? splitName(name) : undefined;
  if (split === undefined) {
    records.push(paxRecord('path', fromByteString(name)));
  }
  if (linkname.length > NAME_LENGTH || !isPrintableAscii(linkname)) {
    records.push(paxRecord('linkpath', fromByteString(linkname)));
  }
  if (entry.size > MAX_OCTAL_11) {
    records.push(paxRecord('size', decimal(entry.size)));
  }
  if (entry.uid > MAX_OCTAL_7) {
    records.push(paxRecord('uid', decimal(entry.uid)));
  }
  if (entry.gid > MAX_OCTAL_7) {
    records.push(paxRecord('gid', decimal(entry.gid)));
  }
  if (entry.xattrs) {
    for (const [key, value] of entry.xattrs) {
      records.push(paxRecord(PAX_XATTR_PREFIX + encodeKeyword(key), value));
    }
  }

  const [prefix, base] = split ?? ['', name.slice(0, NAME_LENGTH)];
  const header = ustar(TYPE_FLAGS[entry.type], prefix, base, entry, linkname.slice(0, NAME_LENGTH));
  if (records.length === 0) {
    return header;
  }

  const body = Buffer.concat(records);
  const paxHeader = ustar(TYPE_FLAGS.pax, '', '././@PaxHeader', {
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
  });
  return Buffer.concat([paxHeader, body, tarPadding(body.length), header]);
}

/** The zero bytes that fill content of `size` bytes up to a whole block. */
export function tarPadding(size: number): Uint8Array {
  return END_OF_ARCHIVE.subarray(0, (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

function ustar(
  typeflag: number,
  prefix: string,
  name: string,
  entry: { mode: number; uid: number; gid: number; size: number },
  linkname = '',
): Buffer {
  const block = Buffer.allocUnsafe(TAR_BLOCK);
  block.set(TEMPLATE);
  block.write(name, 0, 'latin1');
  octal(block, 100, 7, entry.mode & 0o7777);
  octal(block, 108, 7, Math.min(entry.uid, MAX_OCTAL_7));
  octal(block, 116, 7, Math.min(entry.gid, MAX_OCTAL_7));
  octal(block, 124, 11, Math.min(entry.size, MAX_OCTAL_11));
  block[156] = typeflag;
  if (linkname !== '') {
    block.write(linkname, 157, 'latin1');
  }
  if (prefix !== '') {
    block.write(prefix, 345, 'latin1');
  }
  let sum = 0;
  for (let i = 0; i < TAR_BLOCK; i++) {
    sum += block[i] as number;
  }
  block.set(EMPTY_CHECKSUM, 148);
  octal(block, 148, 6, sum);
  return block;
}

/** A header with nothing in it: all numbers are zero, the checksum field is spaces (as which it counts). */
const TEMPLATE = emptyHeader();
const EMPTY_CHECKSUM = Buffer.from('000000\0 ');

function emptyHeader(): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  for (const offset of [100, 108, 116, 329, 337]) {
    block.fill('0', offset, offset + 7);
  }
  for (const offset of [124, 136]) {
    block.fill('0', offset, offset + 11);
  }
  block.fill(' ', 148, 156);
  block.write('ustar\x0000', 257, 'latin1');
  return block;
}

/** Digits into a field of zeros. */
function octal(block: Buffer, offset: number, digits: number, value: number): void {
  for (let at = offset + digits - 1, rest = value; rest > 0; at--) {
    block[at] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

const decimal = (value: number) => Buffer.from(String(value));

/** prefix and name by the ustar rule (name <= 100, prefix <= 155, joined by a slash); undefined where none fits. */
function splitName(name: string): readonly [prefix: string, name: string] | undefined {
  if (name.length <= NAME_LENGTH) {
    return ['', name];
  }
  // The rightmost slash that keeps the prefix in bounds leaves the shortest name; it must not be the trailing one.
  const slash = name.lastIndexOf('/', Math.min(PREFIX_LENGTH, name.length - 2));
  return slash > 0 && name.length - slash - 1 <= NAME_LENGTH
    ? [name.slice(0, slash), name.slice(slash + 1)]
    : undefined;
}

/** The UTF-8 bytes of `text`, one character each: for nearly all names the text itself. */
function byteString(text: string): string {
  return isPrintableAscii(text) ? text : Buffer.from(text).toString('latin1');
}
function fromByteString(bytes: string): Uint8Array {
  return Buffer.from(bytes, 'latin1');
}

/** GNU tar's escape of the two characters that a PAX keyword cannot hold. */
function encodeKeyword(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

/** `LENGTH KEYWORD=VALUE\n`, where LENGTH counts the whole record including its own digits. */
function paxRecord(keyword: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
