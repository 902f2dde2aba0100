/**
 * Content objects: a header, then the bytes of the file; a symlink has no bytes. The header is a
 * 4-byte big-endian length, 4 zero bytes, and a GVariant of that length:
 *
 *     (uuuusa(ayay))   what the checksum covers: uid, gid, mode, rdev (0), symlink target, xattrs
 *     (tuuuusa(ayay))  in archive repositories (.filez): the content length first
 *
 * All integers are big-endian. In a .filez, raw deflate follows instead of the bytes.
 * Source: ostree-core-private.h, _OSTREE_ZLIB_FILE_HEADER_GVARIANT_FORMAT.
 */
import { createHash, type Hash } from 'node:crypto';
import { Cursor } from '../../bytes/cursor.js';
import type { Xattrs } from '../../bytes/xattrs.js';
import { OstrataError } from '../../errors.js';
import { encodeOffsets } from '../gvariant/container.js';
import { decode, encode, split, swap32, swap64 } from '../gvariant/value.js';
import { checkMode, S_IFLNK, S_IFMT, S_IFREG } from './dirmeta.js';
import { MAX_XATTRS_SIZE } from './xattr-list.js';

const FILEZ_HEADER_TYPE = '(tuuuusa(ayay))';
/** The members of {@link FILEZ_HEADER_TYPE}, serialized. */
type FilezMembers = readonly [
  size: Uint8Array,
  uid: Uint8Array,
  gid: Uint8Array,
  mode: Uint8Array,
  rdev: Uint8Array,
  target: Uint8Array,
  xattrs: Uint8Array,
];

/** The checksum does not cover the size. */
const NO_SIZE = new Uint8Array();
/** The target of a regular file: an empty string. */
const NO_TARGET = new Uint8Array(1);
/** Bytes of uid, gid, mode and rdev in a header. */
const NUMBERS_SIZE = 16;
/** Bytes before a header: its length, and padding. */
export const HEADER_PREFIX_SIZE = 8;
/** Xattrs, a symlink target (PATH_MAX is 4096) and the fixed fields. */
const MAX_FILE_HEADER_SIZE = MAX_XATTRS_SIZE + (1 << 16);

/** Limit for the target of a symlink, in bytes: PATH_MAX of Linux without the NUL. */
export const MAX_TARGET_SIZE = 4095;

/** A content object without its bytes; the xattrs are serialized, as in the header. */
export interface FileHeader {
  readonly uid: number;
  readonly gid: number;
  /** `st_mode` with S_IFREG or S_IFLNK. */
  readonly mode: number;
  /** Content length in bytes; 0 for a symlink. */
  readonly size: number;
  /** The target of a symlink. */
  readonly target?: string | undefined;
  /** `a(ayay)`; no bytes if there are no xattrs. */
  readonly xattrsBytes: Uint8Array;
}

/** The metadata of a content object: everything except its bytes. */
export interface FileInfo extends FileHeader {
  readonly type: 'file' | 'symlink';
  readonly xattrs: Xattrs;
}

/**
 * Returns the type that the bits of `mode` state. Throws `CORRUPT` for any type that a content
 * object cannot have.
 */
export function fileType(mode: number): 'file' | 'symlink' {
  checkMode(mode);
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFLNK:
      return 'symlink';
    default:
      throw new OstrataError('CORRUPT', `content object of mode 0${mode.toString(8)}`);
  }
}

/** Returns `target`. Throws `CORRUPT` or `LIMIT` if no symlink of a Linux system can have it. */
export function checkTarget(target: string): string {
  const size = Buffer.byteLength(target);
  if (size === 0) {
    throw new OstrataError('CORRUPT', 'a symlink without a target');
  }
  if (size > MAX_TARGET_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `a symlink target of ${size} bytes, at most ${MAX_TARGET_SIZE}`,
    );
  }
  return target;
}

/**
 * Begins the checksum of a content object, which covers prefix, header and content. The caller
 * updates it with the content.
 */
export function startFileChecksum(header: FileHeader): Hash {
  return createHash('sha256').update(headerBytes(NO_SIZE, header));
}

/** Encodes the beginning of a `.filez`: prefix, and header with the content length. */
export function filezHeaderBytes(header: FileHeader): Uint8Array {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(header.size));
  return headerBytes(size, header);
}

/** Decodes the prefix of a header. Returns the size of the header in bytes, which is bounded. */
export function decodeHeaderPrefix(prefix: Uint8Array): number {
  const cursor = new Cursor(prefix, 'content object');
  const length = cursor.u32();
  if (length > MAX_FILE_HEADER_SIZE) {
    throw cursor.error(`header of ${length} bytes, at most ${MAX_FILE_HEADER_SIZE}`);
  }
  if (cursor.u32() !== 0) {
    throw cursor.error('padding is not zero');
  }
  return length;
}

/**
 * Decodes the header of a `.filez`. Throws `CORRUPT` unless its fields agree with each other.
 * @param bytes the GVariant after the prefix
 */
export function decodeFilezHeader(bytes: Uint8Array): FileHeader {
  const members = split<FilezMembers>(FILEZ_HEADER_TYPE, bytes);
  const [sizeBytes, uidBytes, gidBytes, modeBytes, rdevBytes, targetBytes, xattrsBytes] = members;
  const size = swap64(decode<bigint>('t', sizeBytes));
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new OstrataError('CORRUPT', `content of ${size} bytes`);
  }

  const mode = bigEndian(modeBytes);
  const rdev = bigEndian(rdevBytes);
  const target = decode<string>('s', targetBytes);
  const isSymlink = fileType(mode) === 'symlink';
  if (rdev !== 0) {
    throw new OstrataError('CORRUPT', `content object of device ${rdev}`);
  }
  if (isSymlink !== (target !== '') || (isSymlink && size !== 0n)) {
    const type = isSymlink ? 'symlink' : 'file';
    throw new OstrataError(
      'CORRUPT',
      `${type} of ${size} bytes and target ${JSON.stringify(target)}`,
    );
  }

  const header = {
    uid: bigEndian(uidBytes),
    gid: bigEndian(gidBytes),
    mode,
    size: Number(size),
    xattrsBytes,
  };
  return isSymlink ? { ...header, target: checkTarget(target) } : header;
}

function bigEndian(bytes: Uint8Array): number {
  return swap32(decode<number>('u', bytes));
}

/**
 * Encodes prefix and header without the general encoder, which takes ten times as long: every
 * object that is read needs them for its checksum.
 * @param size the content length, or no bytes
 */
function headerBytes(size: Uint8Array, header: FileHeader): Uint8Array {
  const { xattrsBytes } = header;
  const target = header.target === undefined ? NO_TARGET : encode('s', header.target);
  const targetEnd = size.length + NUMBERS_SIZE + target.length;
  const xattrsEnd = targetEnd + xattrsBytes.length;
  const offsets = encodeOffsets([targetEnd], xattrsEnd);
  const headerSize = xattrsEnd + offsets.length;

  const bytes = new Uint8Array(HEADER_PREFIX_SIZE + headerSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, headerSize);
  bytes.set(size, HEADER_PREFIX_SIZE);

  const numbersAt = HEADER_PREFIX_SIZE + size.length;
  view.setUint32(numbersAt, header.uid);
  view.setUint32(numbersAt + 4, header.gid);
  view.setUint32(numbersAt + 8, header.mode);
  bytes.set(target, numbersAt + NUMBERS_SIZE);
  bytes.set(xattrsBytes, HEADER_PREFIX_SIZE + targetEnd);
  bytes.set(offsets, HEADER_PREFIX_SIZE + xattrsEnd);
  return bytes;
}
