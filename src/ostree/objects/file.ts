/**
 * Content objects: a header, then the bytes of the file (nothing for a symlink). The header is a 4-byte big-endian
 * length, 4 zero bytes, and a GVariant:
 *   for the checksum `(uuuusa(ayay))`  = uid, gid, mode, rdev (0), symlink target, xattrs;
 *   in archive repositories (.filez) `(tuuuusa(ayay))`, the content length first, then raw deflate instead of bytes.
 * All integers are big-endian. Source: ostree-core-private.h, _OSTREE_ZLIB_FILE_HEADER_GVARIANT_FORMAT.
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
const NO_TARGET = new Uint8Array(1);
/** Bytes of uid, gid, mode and rdev in a header. */
const NUMBERS_SIZE = 16;
/** Length word and padding before a header. */
export const HEADER_PREFIX_SIZE = 8;
/** Xattrs, a symlink target and the fixed fields; PATH_MAX is 4096. */
export const MAX_FILE_HEADER_SIZE = MAX_XATTRS_SIZE + (1 << 16);

/** A content object but for its bytes, with its xattrs serialised as they are in the header. */
export interface FileHeader {
  readonly uid: number;
  readonly gid: number;
  /** `st_mode` with S_IFREG or S_IFLNK. */
  readonly mode: number;
  /** Content length in bytes; 0 for a symlink. */
  readonly size: number;
  /** Of a symlink. */
  readonly target?: string | undefined;
  /** `a(ayay)`, empty without xattrs. */
  readonly xattrsBytes: Uint8Array;
}

/** All there is to know of a content object but its bytes. */
export interface FileInfo extends FileHeader {
  readonly type: 'file' | 'symlink';
  readonly xattrs: Xattrs;
}

/** `file` or `symlink` by the type bits of `mode`; ostree has no other content objects. */
export function fileType(mode: number): 'file' | 'symlink' {
  checkMode(mode);
  if ((mode & S_IFMT) === S_IFREG) {
    return 'file';
  }
  if ((mode & S_IFMT) === S_IFLNK) {
    return 'symlink';
  }
  throw new OstrataError('CORRUPT', `content object of mode 0${mode.toString(8)}`);
}

/** What the checksum of a content object begins with: prefix and header. */
export function fileHeaderBytes(header: FileHeader): Uint8Array {
  return headerBytes(Buffer.alloc(0), header);
}

/** Begins the checksum of a content object; update it with the content, nothing for a symlink. */
export function startFileChecksum(header: FileHeader): Hash {
  return createHash('sha256').update(fileHeaderBytes(header));
}

/** The start of a `.filez`: prefix and header with the content length. */
export function filezHeaderBytes(header: FileHeader): Uint8Array {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(header.size));
  return headerBytes(size, header);
}

/** Bytes that the header after a prefix takes. */
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

/** @param bytes the GVariant after the prefix of a `.filez` */
export function decodeFilezHeader(bytes: Uint8Array): FileHeader {
  const [size, ...fields] = split(FILEZ_HEADER_TYPE, bytes) as [Uint8Array, ...Uint8Array[]];
  const length = swap64(decode('t', size) as bigint);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new OstrataError('CORRUPT', `content of ${length} bytes`);
  }
  const [uid, gid, mode, rdev] = fields
    .slice(0, 4)
    .map((field) => swap32(decode('u', field) as number));
  const [target, xattrsBytes] = [
    decode('s', fields[4] as Uint8Array) as string,
    fields[5] as Uint8Array,
  ];
  const isSymlink = fileType(mode as number) === 'symlink';
  if (rdev !== 0) {
    throw new OstrataError('CORRUPT', `content object of device ${rdev}`);
  }
  if (isSymlink !== (target !== '') || (isSymlink && length !== 0n)) {
    throw new OstrataError(
      'CORRUPT',
      `${isSymlink ? 'symlink' : 'file'} of ${length} bytes and target ${JSON.stringify(target)}`,
    );
  }
  return {
    uid: uid as number,
    gid: gid as number,
    mode: mode as number,
    size: Number(length),
    ...(isSymlink && { target }),
    xattrsBytes,
  };
}

/** Prefix and tuple. By hand: each object that is read needs one, and the encoder for any type takes ten times as long. */
function headerBytes(
  size: Uint8Array,
  { uid, gid, mode, target, xattrsBytes }: FileHeader,
): Uint8Array {
  const text = target === undefined ? NO_TARGET : encode('s', target);
  const numbersAt = HEADER_PREFIX_SIZE + size.length;
  const textEnd = size.length + NUMBERS_SIZE + text.length;
  const xattrsEnd = textEnd + xattrsBytes.length;
  const offsets = encodeOffsets([textEnd], xattrsEnd);
  const bytes = new Uint8Array(HEADER_PREFIX_SIZE + xattrsEnd + offsets.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, xattrsEnd + offsets.length);
  bytes.set(size, HEADER_PREFIX_SIZE);
  view.setUint32(numbersAt, uid);
  view.setUint32(numbersAt + 4, gid);
  view.setUint32(numbersAt + 8, mode);
  bytes.set(text, numbersAt + NUMBERS_SIZE);
  bytes.set(xattrsBytes, HEADER_PREFIX_SIZE + textEnd);
  bytes.set(offsets, HEADER_PREFIX_SIZE + xattrsEnd);
  return bytes;
}
