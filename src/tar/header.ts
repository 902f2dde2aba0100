/**
 * Encodes the headers of tar entries: a ustar block (fields.ts), preceded by a PAX extended header
 * (pax.ts) if a ustar block cannot hold the entry.
 *
 * This is not left to tar-stream, because layers need what it cannot express (mode 0, uids above
 * 2^18, binary xattrs), from synchronous code.
 */
import { isPrintableAscii } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { checkId, FIELDS, headerChecksum, TAR_BLOCK, writeOctal } from './fields.js';
import { encodePaxRecord, encodePaxXattrs } from './pax.js';

/**
 * Must be raised whenever a change of this code gives other bytes for the same entries. It is part
 * of every layer key, so that no layer is reused that another version would write differently.
 */
export const TAR_WRITER_VERSION = 1;

/** Two zero blocks end an archive. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * TAR_BLOCK);

export type TarEntryType = 'file' | 'link' | 'symlink' | 'directory';

/** An entry to write. Its user and group have no names. */
export interface TarEntry {
  /** Relative, without trailing slash; the slash of a directory is added. */
  readonly name: string;
  readonly type: TarEntryType;
  /** Permission bits; type bits are ignored. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 unless the entry is a file. */
  readonly size: number;
  /** The target of a link or symlink, written literally. */
  readonly linkname?: string | undefined;
  readonly xattrs?: Xattrs | undefined;
  /** Seconds since 1970, an integer; 0 by default. */
  readonly mtime?: number | undefined;
}

const TYPE_FLAGS = { file: 0x30, link: 0x31, symlink: 0x32, directory: 0x35 } as const;
const PAX_FLAG = 0x78;

/** Largest numbers of 7 and 11 octal digits. */
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** The fields of a header block. Texts hold one character for each byte. */
interface HeaderBlock {
  readonly typeflag: number;
  readonly prefix: string;
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkname: string;
}

/**
 * Returns the header block or blocks of `entry`, without its content. Throws `UNSUPPORTED` for a
 * name with a NUL, and `CORRUPT` for a uid or gid that is no number of 32 bits.
 */
export function encodeTarHeader(entry: TarEntry): Uint8Array {
  const name = byteString(entry.type === 'directory' ? `${entry.name}/` : entry.name);
  const linkname = byteString(entry.linkname ?? '');
  if (name.includes('\0') || linkname.includes('\0')) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar entry ${JSON.stringify(entry.name)}: a name cannot hold a NUL`,
    );
  }

  const split = isPrintableAscii(name) ? splitName(name) : undefined;
  const [prefix, base] = split ?? ['', name.slice(0, FIELDS.name.size)];
  const header = encodeBlock({
    typeflag: TYPE_FLAGS[entry.type],
    prefix,
    name: base,
    mode: entry.mode,
    uid: checkId(entry.uid, 'uid'),
    gid: checkId(entry.gid, 'gid'),
    size: entry.size,
    mtime: entry.mtime ?? 0,
    linkname: linkname.slice(0, FIELDS.linkname.size),
  });

  const records = paxRecords(entry, split === undefined ? name : undefined, linkname);
  return records.length === 0 ? header : Buffer.concat([paxHeader(records), header]);
}

/** Returns the zero bytes that fill up content of `size` bytes to whole blocks. */
export function tarPadding(size: number): Uint8Array {
  return END_OF_ARCHIVE.subarray(0, (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

/**
 * Returns the PAX records for whatever the header block cannot hold.
 * @param longName the whole name, if the header block cannot hold it
 */
function paxRecords(entry: TarEntry, longName: string | undefined, linkname: string): Buffer[] {
  const records: Buffer[] = [];
  if (longName !== undefined) {
    records.push(encodePaxRecord('path', Buffer.from(longName, 'latin1')));
  }
  if (linkname.length > FIELDS.linkname.size || !isPrintableAscii(linkname)) {
    records.push(encodePaxRecord('linkpath', Buffer.from(linkname, 'latin1')));
  }
  if (entry.size > MAX_OCTAL_11) {
    records.push(encodePaxRecord('size', decimal(entry.size)));
  }
  if (entry.uid > MAX_OCTAL_7) {
    records.push(encodePaxRecord('uid', decimal(entry.uid)));
  }
  if (entry.gid > MAX_OCTAL_7) {
    records.push(encodePaxRecord('gid', decimal(entry.gid)));
  }
  const { mtime = 0 } = entry;
  if (mtime < 0 || mtime > MAX_OCTAL_11) {
    records.push(encodePaxRecord('mtime', decimal(mtime)));
  }
  if (entry.xattrs !== undefined) {
    records.push(...encodePaxXattrs(entry.xattrs));
  }
  return records;
}

/** Returns an extended header, complete with its padding. */
function paxHeader(records: readonly Buffer[]): Buffer {
  const body = Buffer.concat(records);
  const block = encodeBlock({
    typeflag: PAX_FLAG,
    prefix: '',
    name: '././@PaxHeader',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
    linkname: '',
  });
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/**
 * Encodes a block. A number that does not fit is replaced by the largest that does; the extended
 * header states the real one.
 */
function encodeBlock(header: HeaderBlock): Buffer {
  const block = Buffer.allocUnsafe(TAR_BLOCK);
  block.set(TEMPLATE);
  block.write(header.name, FIELDS.name.offset, 'latin1');
  writeOctal(block, FIELDS.mode, 7, header.mode & 0o7777);
  writeOctal(block, FIELDS.uid, 7, Math.min(header.uid, MAX_OCTAL_7));
  writeOctal(block, FIELDS.gid, 7, Math.min(header.gid, MAX_OCTAL_7));
  writeOctal(block, FIELDS.size, 11, Math.min(header.size, MAX_OCTAL_11));
  if (header.mtime !== 0) {
    const mtime = Math.max(0, Math.min(header.mtime, MAX_OCTAL_11));
    writeOctal(block, FIELDS.mtime, 11, mtime);
  }
  block[FIELDS.typeflag.offset] = header.typeflag;
  if (header.linkname !== '') {
    block.write(header.linkname, FIELDS.linkname.offset, 'latin1');
  }
  if (header.prefix !== '') {
    block.write(header.prefix, FIELDS.prefix.offset, 'latin1');
  }
  writeOctal(block, FIELDS.checksum, 6, headerChecksum(block));
  return block;
}

/** A block in which all numbers are zero and all texts are empty. */
const TEMPLATE = emptyBlock();

function emptyBlock(): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  const { mode, uid, gid, size, mtime, devmajor, devminor } = FIELDS;
  for (const field of [mode, uid, gid, size, mtime, devmajor, devminor]) {
    block.fill('0', field.offset, field.offset + field.size - 1);
  }
  block.write('000000\0 ', FIELDS.checksum.offset, 'latin1');
  block.write('ustar\x0000', FIELDS.magic.offset, 'latin1');
  return block;
}

function decimal(value: number): Buffer {
  return Buffer.from(String(value));
}

/**
 * Splits a name into the prefix and name fields, which readers join by a slash.
 * Returns undefined if no slash makes both of them fit.
 */
function splitName(name: string): readonly [prefix: string, name: string] | undefined {
  if (name.length <= FIELDS.name.size) {
    return ['', name];
  }

  // The last slash that keeps the prefix in bounds leaves the shortest name. The trailing slash of
  // a directory does not count: the name would be empty.
  const slash = name.lastIndexOf('/', Math.min(FIELDS.prefix.size, name.length - 2));
  const doesFit = slash > 0 && name.length - slash - 1 <= FIELDS.name.size;
  return doesFit ? [name.slice(0, slash), name.slice(slash + 1)] : undefined;
}

/**
 * Returns the UTF-8 bytes of `text` as one character each: for nearly all names, the text itself.
 */
function byteString(text: string): string {
  return isPrintableAscii(text) ? text : Buffer.from(text).toString('latin1');
}
