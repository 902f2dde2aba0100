/** Decodes the header block of a tar entry, whose fields are described in fields.ts. */
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { checkId, FIELDS, headerChecksum, readNumber, readSigned, readText } from './fields.js';
import type { Overrides } from './pax.js';

type TarType =
  | 'file'
  | 'link'
  | 'symlink'
  | 'directory'
  | 'character device'
  | 'block device'
  | 'fifo';

/** An entry as it is read, with its extended headers applied. */
export interface TarHeader {
  /** As it is in the archive: may be absolute, hold `..` or end in a slash. */
  readonly name: string;
  readonly type: TarType;
  /** Permission bits. */
  readonly mode: number;
  /** At most 2^32 - 1. */
  readonly uid: number;
  /** At most 2^32 - 1. */
  readonly gid: number;
  /** Time of the last change in seconds since 1970, rounded down; negative before it. */
  readonly mtime: number;
  /** Bytes of content; 0 unless the entry is a file. */
  readonly size: number;
  /** The target of a link or symlink; empty for other types. */
  readonly linkname: string;
  readonly xattrs: Xattrs;
}

/** Types of entries by their flags. */
const TYPES: ReadonlyMap<string, TarType> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  ['1', 'link'],
  ['2', 'symlink'],
  ['3', 'character device'],
  ['4', 'block device'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/**
 * Decodes the header block of an entry. Fields that `overrides` states replace those of the block.
 */
export function decodeHeader(block: Buffer, flag: string, overrides: Overrides): TarHeader {
  const size = readNumber(block, FIELDS.size);
  const type = TYPES.get(flag);
  if (type === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar entry ${JSON.stringify(readName(block))} of type ${JSON.stringify(flag)}`,
    );
  }

  const isLink = type === 'link' || type === 'symlink';
  const header: TarHeader = {
    name: overrides.name ?? readName(block),
    type,
    mode: readNumber(block, FIELDS.mode) & 0o7777,
    uid: checkId(overrides.uid ?? readNumber(block, FIELDS.uid), 'uid'),
    gid: checkId(overrides.gid ?? readNumber(block, FIELDS.gid), 'gid'),
    mtime: overrides.mtime ?? readSigned(block, FIELDS.mtime),
    size: type === 'file' ? (overrides.size ?? size) : 0,
    linkname: isLink ? (overrides.linkname ?? readText(block, FIELDS.linkname)) : '',
    xattrs: overrides.xattrs ?? new Map<string, Uint8Array>(),
  };
  if (header.name === '' || header.name.includes('\0') || header.linkname.includes('\0')) {
    throw new OstrataError(
      'CORRUPT',
      `tar entry ${JSON.stringify(header.name)}: a name is empty or has a NUL`,
    );
  }
  return header;
}

/**
 * Throws `CORRUPT` unless all numbers of a header block are numbers, also those that are not needed
 * here and those of an extended header: Go's archive/tar (podman, umoci) decodes them and refuses
 * the archive, and Python's tarfile takes the block for the end of it.
 */
export function checkNumbers(block: Buffer): void {
  readNumber(block, FIELDS.mode);
  readNumber(block, FIELDS.uid);
  readNumber(block, FIELDS.gid);
  readSigned(block, FIELDS.mtime);
  readNumber(block, FIELDS.devmajor);
  readNumber(block, FIELDS.devminor);
}

function readName(block: Buffer): string {
  const name = readText(block, FIELDS.name);
  // GNU headers, whose magic is "ustar  ", keep other data in the prefix field.
  const { offset } = FIELDS.magic;
  if (block.toString('latin1', offset, offset + 6) !== 'ustar\0') {
    return name;
  }
  const prefix = readText(block, FIELDS.prefix);
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Throws `CORRUPT` if a header block does not have the checksum that it states. */
export function checkChecksum(block: Buffer): void {
  const stated = readNumber(block, FIELDS.checksum);
  const computed = headerChecksum(block);
  if (stated !== computed) {
    throw new OstrataError('CORRUPT', `tar header states the checksum ${stated}, has ${computed}`);
  }
}
