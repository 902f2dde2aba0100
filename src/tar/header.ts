/**
 * Encodes the headers of tar entries as GNU tar does: a header block (fields.ts), after the entries
 * `L` and `K` of names that it cannot hold, and after a PAX extended header (pax.ts) of the
 * extended attributes. GNU tar's formats:
 * https://www.gnu.org/software/tar/manual/html_node/Standard.html
 *
 * The bytes are those of Rust's `tar` crate, by which bootc's ostree-ext writes layers: it writes
 * the layers of an imported image anew, and its config goes on to name them by their old digests.
 * `test/layers/ostree-ext` holds layers that it has written.
 */
import { isPrintableAscii } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { checkId, FIELDS, type Field, headerChecksum, TAR_BLOCK, writeNumber } from './fields.js';
import { encodePaxRecord, encodePaxXattrs } from './pax.js';

/**
 * Must be raised whenever a change of this code gives other bytes for the same entries. It is part
 * of every layer key, so that no layer is reused that another version would write differently.
 */
export const TAR_WRITER_VERSION = 2;

/** Two zero blocks end an archive. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * TAR_BLOCK);

export type TarEntryType = 'file' | 'link' | 'symlink' | 'directory';

/** An entry to write. Its user and group have no names. */
export interface TarEntry {
  /** Relative. Written without a leading `./` unless it is too long for the header block. */
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

const TYPE_FLAGS = {
  file: '0',
  link: '1',
  symlink: '2',
  directory: '5',
} as const;
const GNU_MAGIC = 'ustar  \0';
const PAX_MAGIC = 'ustar\x0000';

/**
 * Returns the header block of `entry` behind the entries that describe it, without its content.
 * Throws `UNSUPPORTED` for a name with a NUL, and `CORRUPT` for a uid or gid that is no number of
 * 32 bits.
 * @param over a header block whose fields are overwritten. What lies behind the NUL of a shorter
 * name stays, as in ostree-ext, whose hard links begin as copies of the header of their object.
 */
export function encodeTarHeader(entry: TarEntry, over: Uint8Array = EMPTY_BLOCK): Uint8Array {
  const name = byteString(entry.name);
  const linkname = byteString(entry.linkname ?? '');
  if (name.includes('\0') || linkname.includes('\0')) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar entry ${JSON.stringify(entry.name)}: a name cannot hold a NUL`,
    );
  }

  const block = Buffer.from(over);
  writeNumber(block, FIELDS.mode, entry.mode & 0o7777);
  writeNumber(block, FIELDS.uid, checkId(entry.uid, 'uid'));
  writeNumber(block, FIELDS.gid, checkId(entry.gid, 'gid'));
  writeNumber(block, FIELDS.size, entry.size);
  const { mtime = 0 } = entry;
  writeNumber(block, FIELDS.mtime, Math.max(mtime, 0));
  block.write(TYPE_FLAGS[entry.type], FIELDS.typeflag.offset, 'latin1');
  const isLongName = !writeName(block, name);
  const isLongLink = !writeLinkname(block, linkname);
  writeChecksum(block);

  const records = encodePaxXattrs(entry.xattrs ?? new Map());
  if (mtime < 0) {
    records.push(encodePaxRecord('mtime', Buffer.from(String(mtime))));
  }
  const blocks = [
    records.length === 0 ? [] : describe('x', PAX_MAGIC, Buffer.concat(records)),
    isLongName ? longText('L', name) : [],
    isLongLink ? longText('K', linkname) : [],
    block,
  ].flat();
  return blocks.length === 1 ? block : Buffer.concat(blocks);
}

/** Returns the zero bytes that fill up content of `size` bytes to whole blocks. */
export function tarPadding(size: number): Uint8Array {
  return END_OF_ARCHIVE.subarray(0, (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

/** Returns an entry that states a long name or link name of the entry after it. */
function longText(flag: 'L' | 'K', text: string): Uint8Array[] {
  return describe(flag, GNU_MAGIC, Buffer.from(`${text}\0`, 'latin1'));
}

/** Returns the header block, the body and the padding of an entry that describes the next one. */
function describe(flag: string, magic: string, body: Buffer): Uint8Array[] {
  const block = emptyBlock(magic);
  if (magic === GNU_MAGIC) {
    block.write('././@LongLink', FIELDS.name.offset, 'latin1');
    writeNumber(block, FIELDS.mode, 0o644);
    writeNumber(block, FIELDS.uid, 0);
    writeNumber(block, FIELDS.gid, 0);
  }
  writeNumber(block, FIELDS.size, body.length);
  block.write(flag, FIELDS.typeflag.offset, 'latin1');
  writeChecksum(block);
  return [block, body, tarPadding(body.length)];
}

function emptyBlock(magic: string): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  writeNumber(block, FIELDS.mtime, 0);
  block.write(magic, FIELDS.magic.offset, 'latin1');
  return block;
}

const EMPTY_BLOCK = emptyBlock(GNU_MAGIC);

function writeChecksum(block: Buffer): void {
  writeNumber(block, FIELDS.checksum, headerChecksum(block));
}

/**
 * Writes a name, or the first 100 bytes of one that is too long. Returns whether it was written
 * whole.
 */
function writeName(block: Buffer, name: string): boolean {
  const isWhole = writePath(block, FIELDS.name, withoutDots(name));
  if (!isWhole) {
    let end = FIELDS.name.size;
    while (isContinuation(name.charCodeAt(end))) {
      end--;
    }
    writePath(block, FIELDS.name, withoutDots(name.slice(0, end)));
  }
  return isWhole;
}

/** Writes the target of a link. Returns whether it was written whole. */
function writeLinkname(block: Buffer, linkname: string): boolean {
  return linkname === '' || writePath(block, FIELDS.linkname, linkname);
}

/**
 * Writes the components and slashes of `path`, one after the other, up to the first that does not
 * fit. Returns whether all of them did.
 */
function writePath(block: Buffer, { offset, size }: Field, path: string): boolean {
  const isWhole = path.length <= size;
  const fitting = path[size] === '/' ? size : path.lastIndexOf('/', size - 1) + 1;
  const end = isWhole ? path.length : fitting;
  block.write(path.slice(0, end), offset, 'latin1');
  if (end > 0 && end < size) {
    block[offset + end] = 0;
  }
  return isWhole;
}

/** Leaves out the components `.` at both ends, as Rust's `Path::components` does; `./` stays. */
function withoutDots(path: string): string {
  return path.replace(/^\.\/(?=.)/, '').replace(/\/\.$/, '');
}

/** Whether a byte of UTF-8 goes on with a character that began before it. */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/**
 * Returns the UTF-8 bytes of `text` as one character each: for nearly all names, the text itself.
 */
function byteString(text: string): string {
  return isPrintableAscii(text) ? text : Buffer.from(text).toString('latin1');
}
