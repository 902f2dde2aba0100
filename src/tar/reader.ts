/**
 * Reads tar archives: POSIX ustar and pax, GNU long names and base-256 numbers (see header.ts for the fields).
 * Bytes are pushed in as they come; entries go out synchronously. 70,000 entries a layer are too many for a promise each.
 */
import { Cursor } from '../bytes/cursor.js';
import { decodeUtf8 } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError, wrapError } from '../errors.js';
import { PAX_XATTR_PREFIX, TAR_BLOCK } from './header.js';

export type TarType =
  | 'file'
  | 'link'
  | 'symlink'
  | 'directory'
  | 'character device'
  | 'block device'
  | 'fifo';

/** An entry as it is read; extended headers are applied. */
export interface TarHeader {
  /** As it stands in the archive: may be absolute, hold `..` or end in a slash. */
  readonly name: string;
  readonly type: TarType;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content; 0 for all but files. */
  readonly size: number;
  /** Seconds since 1970, whole. */
  readonly mtime: number;
  /** Of a link or symlink, else empty. */
  readonly linkname: string;
  /** Values of SCHILY.xattr records, by name. */
  readonly xattrs: Xattrs;
}

/** What a reader tells; whatever it throws ends the reading, with the entry's name in front. */
export interface TarVisitor {
  entry(header: TarHeader): void;
  /** A part of the content of the last entry, valid until the call returns. Not called for empty content. */
  content(bytes: Uint8Array): void;
  /** The last entry is complete. */
  entryEnd(): void;
}

/** Records of one extended header together: bootc's bound on xattrs is 1 MiB, and names are short. */
const MAX_EXTENDED_SIZE = (1 << 20) + (1 << 16);
/** PATH_MAX; GNU long names are written with a NUL. */
const MAX_NAME_SIZE = 4097;
/** GNU tar fills the last record (10 KiB, up to 512 KiB with -b 1024) with zeros. */
const MAX_TRAILER_SIZE = 1 << 20;

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character device',
  '4': 'block device',
  '5': 'directory',
  '6': 'fifo',
};

/** What an extended header says of the entry after it. */
interface Extension {
  readonly name?: string | undefined;
  readonly linkname?: string | undefined;
  readonly size?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mtime?: number | undefined;
  readonly xattrs?: Map<string, Uint8Array> | undefined;
}

/** Entries that tell of the next one, or of all. */
const EXTENDED: Readonly<
  Record<string, { readonly limit: number; readonly decode: (body: Buffer) => Extension }>
> = {
  x: { limit: MAX_EXTENDED_SIZE, decode: decodePax },
  L: { limit: MAX_NAME_SIZE, decode: (body) => ({ name: text(untilNul(body), 'long name') }) },
  K: {
    limit: MAX_NAME_SIZE,
    decode: (body) => ({ linkname: text(untilNul(body), 'long link name') }),
  },
  // Of the archive as a whole, e.g. a comment: nothing that entries would take from it is supported.
  g: { limit: MAX_EXTENDED_SIZE, decode: (body) => refuseGlobal(decodePax(body)) },
};

export class TarReader {
  readonly #visitor: TarVisitor;
  /** A block, or the body of an extended header, that has not arrived completely. */
  #pending: Buffer = Buffer.alloc(TAR_BLOCK);
  #filled = 0;
  /** Set while the body of an extended header is awaited. */
  #extending: ((body: Buffer) => Extension) | undefined;
  #extension: Extension = {};
  /** Bytes of content, then of padding, that are still to come. */
  #content = 0;
  #padding = 0;
  #entry: string | undefined;
  #zeroBlocks = 0;
  #trailer = 0;

  constructor(visitor: TarVisitor) {
    this.#visitor = visitor;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#zeroBlocks >= 2) {
        this.#skipTrailer(bytes.length - at);
        return;
      }
      if (this.#content > 0) {
        at += this.#passContent(bytes.subarray(at, at + this.#content));
      } else if (this.#padding > 0) {
        const length = Math.min(this.#padding, bytes.length - at);
        this.#padding -= length;
        at += length;
      } else {
        at += this.#collect(bytes.subarray(at));
      }
    }
  }

  /** Leaves out what is left of the present entry: the bytes that are not to be pushed. */
  skip(): number {
    const left = this.#content + this.#padding;
    if (this.#content > 0) {
      this.#named(() => this.#visitor.entryEnd());
    }
    this.#content = 0;
    this.#padding = 0;
    return left;
  }

  /** Fails unless the archive ended between two entries. */
  end(): void {
    if (
      this.#content > 0 ||
      this.#padding > 0 ||
      this.#filled > 0 ||
      this.#extending ||
      hasKeys(this.#extension)
    ) {
      throw new OstrataError('CORRUPT', `tar archive ends within ${this.#entry ?? 'a header'}`);
    }
  }

  #passContent(bytes: Uint8Array): number {
    this.#content -= bytes.length;
    this.#named(() => {
      this.#visitor.content(bytes);
      if (this.#content === 0) {
        this.#visitor.entryEnd();
      }
    });
    return bytes.length;
  }

  #skipTrailer(length: number): void {
    this.#trailer += length;
    if (this.#trailer > MAX_TRAILER_SIZE) {
      throw new OstrataError(
        'LIMIT',
        `more than ${MAX_TRAILER_SIZE} bytes after the end of the tar archive`,
      );
    }
  }

  #collect(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.#pending.length - this.#filled);
    // A whole block at once needs no copy.
    if (this.#filled === 0 && length === this.#pending.length && !this.#extending) {
      this.#header(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      return length;
    }
    this.#pending.set(bytes.subarray(0, length), this.#filled);
    this.#filled += length;
    if (this.#filled < this.#pending.length) {
      return length;
    }
    const whole = this.#pending;
    const extending = this.#extending;
    this.#filled = 0;
    if (extending === undefined) {
      this.#header(whole);
    } else {
      this.#pending = Buffer.alloc(TAR_BLOCK);
      this.#extending = undefined;
      this.#extension = { ...this.#extension, ...extending(whole) };
    }
    return length;
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      this.#zeroBlocks++;
      return;
    }
    this.#zeroBlocks = 0;
    checkSum(block);
    const flag = String.fromCharCode(block[156] as number);
    const size = number(block, 124, 12, 'size');
    const extended = EXTENDED[flag];
    if (extended !== undefined) {
      this.#extend(size, extended.limit, extended.decode);
      return;
    }
    const type = TYPES[flag];
    if (type === undefined) {
      throw new OstrataError(
        'UNSUPPORTED',
        `tar entry ${JSON.stringify(rawName(block))} of type ${JSON.stringify(flag)}`,
      );
    }
    const header = applyExtension(block, type, size, this.#extension);
    this.#extension = {};
    this.#content = header.size;
    this.#padding = (TAR_BLOCK - (header.size % TAR_BLOCK)) % TAR_BLOCK;
    this.#entry = `entry ${JSON.stringify(header.name)}`;
    this.#named(() => {
      this.#visitor.entry(header);
      if (header.size === 0) {
        this.#visitor.entryEnd();
      }
    });
  }

  #extend(size: number, limit: number, decode: (body: Buffer) => Extension): void {
    if (size === 0 || size > limit) {
      throw new OstrataError(
        'LIMIT',
        `tar extended header of ${size} bytes, expected 1 to ${limit}`,
      );
    }
    this.#pending = Buffer.alloc(size);
    this.#padding = 0;
    const padding = (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
    this.#extending = (body) => {
      this.#padding = padding;
      return decode(body);
    };
  }

  /** Not inContext: that would make a closure and a string an entry. */
  #named(body: () => void): void {
    try {
      body();
    } catch (error) {
      throw wrapError(this.#entry as string, error);
    }
  }
}

function applyExtension(
  block: Buffer,
  type: TarType,
  size: number,
  extension: Extension,
): TarHeader {
  const header = {
    name: extension.name ?? rawName(block),
    type,
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: extension.uid ?? number(block, 108, 8, 'uid'),
    gid: extension.gid ?? number(block, 116, 8, 'gid'),
    size: type === 'file' ? (extension.size ?? size) : 0,
    mtime: extension.mtime ?? number(block, 136, 12, 'mtime'),
    linkname:
      type === 'link' || type === 'symlink'
        ? (extension.linkname ?? field(block, 157, 100, 'link name'))
        : '',
    xattrs: extension.xattrs ?? new Map<string, Uint8Array>(),
  };
  if (header.name === '' || `${header.name}${header.linkname}`.includes('\0')) {
    throw new OstrataError('CORRUPT', `tar entry named ${JSON.stringify(header.name)}`);
  }
  return header;
}

function rawName(block: Buffer): string {
  const name = field(block, 0, 100, 'name');
  // GNU headers ("ustar  ") use the place of the prefix for other things.
  if (block.toString('latin1', 257, 263) !== 'ustar\0') {
    return name;
  }
  const prefix = field(block, 345, 155, 'prefix');
  return prefix === '' ? name : `${prefix}/${name}`;
}

function field(block: Buffer, offset: number, length: number, what: string): string {
  return text(untilNul(block.subarray(offset, offset + length)), what);
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function text(bytes: Uint8Array, what: string): string {
  const decoded = decodeUtf8(bytes);
  if (decoded === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar ${what} ${JSON.stringify(Buffer.from(bytes).toString('latin1'))} is not UTF-8`,
    );
  }
  return decoded;
}

/** Octal text, or base-256 (first bit set, big-endian) as GNU and Go write large numbers. */
function number(block: Buffer, offset: number, length: number, what: string): number {
  const first = block[offset] as number;
  if (first >= 0x80) {
    let value = first & 0x7f;
    if (first === 0xff) {
      throw new OstrataError('CORRUPT', `tar ${what} is negative`);
    }
    for (let i = 1; i < length; i++) {
      value = value * 256 + (block[offset + i] as number);
    }
    return safe(value, what);
  }
  const digits = block
    .toString('latin1', offset, offset + length)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (!/^[0-7]*$/.test(digits)) {
    throw new OstrataError('CORRUPT', `tar ${what} is ${JSON.stringify(digits)}`);
  }
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function safe(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new OstrataError('CORRUPT', `tar ${what} is ${value}`);
  }
  return value;
}

function checkSum(block: Buffer): void {
  let sum = 8 * 0x20; // its own field counts as spaces
  for (let i = 0; i < TAR_BLOCK; i++) {
    if (i < 148 || i >= 156) {
      sum += block[i] as number;
    }
  }
  const stated = number(block, 148, 8, 'checksum');
  if (stated !== sum) {
    throw new OstrataError('CORRUPT', `tar header states the checksum ${stated}, has ${sum}`);
  }
}

/** `LENGTH KEYWORD=VALUE\n`, where LENGTH counts the whole record. */
function decodePax(body: Buffer): Extension {
  const cursor = new Cursor(body, 'pax header');
  const extension: { -readonly [K in keyof Extension]: Extension[K] } = {};
  while (cursor.remaining > 0) {
    const start = cursor.offset;
    const space = body.indexOf(0x20, start);
    const digits = space < 0 ? '' : body.toString('latin1', start, space);
    if (!/^[1-9][0-9]{0,8}$/.test(digits)) {
      throw cursor.error('record without a length');
    }
    const record = Buffer.from(cursor.take(Number(digits))).subarray(digits.length + 1);
    const equals = record.indexOf(0x3d);
    if (equals < 1 || record.at(-1) !== 0x0a) {
      throw cursor.error('record without KEYWORD=VALUE', start);
    }
    const keyword = text(record.subarray(0, equals), 'pax keyword');
    applyRecord(extension, keyword, record.subarray(equals + 1, -1));
  }
  return extension;
}

function applyRecord(
  extension: { -readonly [K in keyof Extension]: Extension[K] },
  keyword: string,
  value: Buffer,
): void {
  if (keyword.startsWith(PAX_XATTR_PREFIX)) {
    extension.xattrs ??= new Map();
    extension.xattrs.set(decodeKeyword(keyword.slice(PAX_XATTR_PREFIX.length)), Buffer.from(value));
    return;
  }
  if (keyword.startsWith('GNU.sparse.')) {
    throw new OstrataError('UNSUPPORTED', 'sparse file in a tar archive');
  }
  switch (keyword) {
    case 'path':
      extension.name = text(value, 'path');
      return;
    case 'linkpath':
      extension.linkname = text(value, 'linkpath');
      return;
    case 'size':
    case 'uid':
    case 'gid': {
      const digits = value.toString('latin1');
      if (!/^[0-9]{1,16}$/.test(digits)) {
        throw new OstrataError('CORRUPT', `pax ${keyword} is ${JSON.stringify(digits)}`);
      }
      extension[keyword] = safe(Number(digits), keyword);
      return;
    }
    case 'mtime':
      extension.mtime = Math.floor(Number(value.toString('latin1')) || 0);
  }
}

/** GNU tar's escape of the two characters that a PAX keyword cannot hold. */
function decodeKeyword(name: string): string {
  return name.replaceAll('%3D', '=').replaceAll('%25', '%');
}

function refuseGlobal(extension: Extension): Extension {
  if (hasKeys(extension)) {
    throw new OstrataError('UNSUPPORTED', 'global pax header for all entries of a tar archive');
  }
  return {};
}

function hasKeys(value: object): boolean {
  return Object.keys(value).length > 0;
}
