/** Decodes the header block of a tar entry, whose fields are described in fields.ts. */
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { checkId, FIELDS, headerChecksum, readNumber, readSigned, readText } from './fields.js';
import type { Overrides } from './pax.js';
import { type Extent, OldGnuMap, type SparseMap, sparseMapOfRecords } from './sparse.js';

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
  /** Bytes of content, with the holes of a sparse file; 0 unless the entry is a file. */
  readonly size: number;
  /** Bytes of content in the archive, where a sparse file has no holes. */
  readonly storedSize: number;
  /**
   * The parts of a sparse file that are not holes, in ascending order. They lie in the archive one
   * directly after the other. Undefined for all other entries.
   */
  readonly extents: readonly Extent[] | undefined;
  /** The target of a link or symlink; empty for other types. */
  readonly linkname: string;
  readonly xattrs: Xattrs;
}

const POSIX_MAGIC = 'ustar\0';
const GNU_MAGIC = 'ustar  ';

/** Types of entries by their flags. */
const TYPES: ReadonlyMap<string, TarType> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'link'],
  ['2', 'symlink'],
  ['3', 'character device'],
  ['4', 'block device'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/** Other types that GNU tar writes, for backups. No image has them. */
const BACKUP_TYPES: ReadonlyMap<string, string> = new Map([
  ['D', 'a directory of an incremental backup'],
  ['M', 'the rest of a file in another volume'],
  ['N', 'a list of long names'],
  ['V', 'the label of a volume'],
]);

/**
 * Decodes the header block of an entry. Fields that `overrides` states replace those of the block.
 * Of a sparse file, the sizes are those in the block; {@link expandedHeader} has the true ones.
 */
export function decodeHeader(block: Buffer, flag: string, overrides: Overrides): TarHeader {
  const stated = readNumber(block, FIELDS.size);
  const name = overrides.sparse?.name ?? overrides.name ?? readName(block);
  const type = typeOf(flag, name);
  const isLink = type === 'link' || type === 'symlink';
  // Whatever else states a size has no content: GNU tar, Go and Python go on with the next block.
  const size = type === 'file' ? (overrides.size ?? stated) : 0;
  const header: TarHeader = {
    name,
    type,
    mode: readNumber(block, FIELDS.mode) & 0o7777,
    uid: checkId(overrides.uid ?? readNumber(block, FIELDS.uid), 'uid'),
    gid: checkId(overrides.gid ?? readNumber(block, FIELDS.gid), 'gid'),
    mtime: overrides.mtime ?? readSigned(block, FIELDS.mtime),
    size,
    storedSize: size,
    extents: undefined,
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

function typeOf(flag: string, name: string): TarType {
  // The first tar, of Unix V7, had no type of directories.
  if (flag === '\0' && name.endsWith('/')) {
    return 'directory';
  }
  const type = TYPES.get(flag);
  if (type === undefined) {
    const known = BACKUP_TYPES.get(flag);
    const explanation = known === undefined ? '' : `: ${known} of GNU tar`;
    throw new OstrataError(
      'UNSUPPORTED',
      `tar entry ${JSON.stringify(name)} of type ${JSON.stringify(flag)}${explanation}`,
    );
  }
  return type;
}

/**
 * Returns the map of a sparse file; undefined for all other entries. Throws `CORRUPT` or
 * `UNSUPPORTED` for an entry that cannot be sparse.
 */
export function decodeSparseMap(
  block: Buffer,
  flag: string,
  type: TarType,
  { sparse }: Overrides,
): SparseMap | undefined {
  if (flag === 'S') {
    // Schily's star has the same type and keeps other data in these fields.
    if (!hasMagic(block, GNU_MAGIC) || sparse !== undefined) {
      throw new OstrataError('UNSUPPORTED', 'sparse file in a format other than that of GNU tar');
    }
    return new OldGnuMap(block);
  }
  // GNU tar takes the records for those of a sparse file in entries of this format only.
  if (sparse !== undefined && !hasMagic(block, POSIX_MAGIC)) {
    throw new OstrataError('UNSUPPORTED', 'sparse file with a map in records and no POSIX header');
  }
  if (sparse !== undefined && type !== 'file') {
    throw new OstrataError('CORRUPT', `sparse file that is a ${type}`);
  }
  return sparse && sparseMapOfRecords(sparse);
}

/**
 * Returns the header of a sparse file. Throws `CORRUPT` if the archive does not hold as many bytes
 * as its map says.
 */
export function expandedHeader(header: TarHeader, map: SparseMap): TarHeader {
  const { size, extents, dataSize } = map;
  const storedSize = header.storedSize - map.storedSize;
  if (storedSize !== dataSize) {
    const rule = `${dataSize} bytes in its extents, ${storedSize} in the archive`;
    throw new OstrataError('CORRUPT', `sparse file: ${rule}`);
  }
  return { ...header, size, storedSize, extents };
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
  // GNU headers keep other data in the prefix field.
  if (!hasMagic(block, POSIX_MAGIC)) {
    return name;
  }
  const prefix = readText(block, FIELDS.prefix);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function hasMagic(block: Buffer, magic: string): boolean {
  const { offset } = FIELDS.magic;
  return block.toString('latin1', offset, offset + magic.length) === magic;
}

/** Throws `CORRUPT` if a header block does not have the checksum that it states. */
export function checkChecksum(block: Buffer): void {
  const stated = readNumber(block, FIELDS.checksum);
  const computed = headerChecksum(block);
  if (stated !== computed) {
    throw new OstrataError('CORRUPT', `tar header states the checksum ${stated}, has ${computed}`);
  }
}
