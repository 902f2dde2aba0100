/**
 * Dirmeta objects, the metadata of directories: `(uuua(ayay))` = uid, gid, mode (with S_IFDIR),
 * xattrs; integers are big-endian. The xattr `user.ostreemeta` of a content object in a bare-user
 * repository has the same form, with the mode of the file. Source: ostree-core.h,
 * OSTREE_DIRMETA_GVARIANT_STRING.
 */
import type { Xattrs } from '../../bytes/xattrs.js';
import { OstrataError } from '../../errors.js';
import { decode, encode, join, split, swap32 } from '../gvariant/value.js';
import { decodeXattrs, encodeXattrs } from './xattr-list.js';

const DIRMETA_TYPE = '(uuua(ayay))';

/** The type bits of `st_mode`, and their values. */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
/** The bits of `st_mode` that chmod(2) sets. */
export const PERMISSION_BITS = 0o7777;
const MODE_BITS = S_IFMT | PERMISSION_BITS;

export interface Dirmeta {
  readonly uid: number;
  readonly gid: number;
  /** `st_mode`, S_IFDIR included. */
  readonly mode: number;
  readonly xattrs: Xattrs;
}

/**
 * Decodes a dirmeta object. Throws `CORRUPT` unless it is one and its mode is that of a directory.
 */
export function decodeDirmeta(bytes: Uint8Array): Dirmeta {
  const { uid, gid, mode, xattrsBytes } = decodeOwnerModeXattrs(bytes);
  if ((mode & S_IFMT) !== S_IFDIR) {
    throw new OstrataError('CORRUPT', `directory of mode 0${mode.toString(8)}`);
  }
  return { uid, gid, mode, xattrs: decodeXattrs(xattrsBytes) };
}

/** Encodes a dirmeta object. */
export function encodeDirmeta(dirmeta: Dirmeta): Uint8Array {
  return encodeOwnerModeXattrs({ ...dirmeta, xattrsBytes: encodeXattrs(dirmeta.xattrs) });
}

export interface OwnerModeXattrs {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** `a(ayay)`, serialized. */
  readonly xattrsBytes: Uint8Array;
}

/**
 * Decodes the value of `user.ostreemeta`. It has the form of a dirmeta, but its mode may be that of
 * a file of any type.
 */
export function decodeOwnerModeXattrs(bytes: Uint8Array): OwnerModeXattrs {
  const members = split<[Uint8Array, Uint8Array, Uint8Array, Uint8Array]>(DIRMETA_TYPE, bytes);
  const [uid, gid, mode, xattrsBytes] = members;
  return {
    uid: decodeBigEndian(uid),
    gid: decodeBigEndian(gid),
    mode: checkMode(decodeBigEndian(mode)),
    xattrsBytes,
  };
}

/** Encodes the value of `user.ostreemeta`. */
export function encodeOwnerModeXattrs(meta: OwnerModeXattrs): Uint8Array {
  const numbers = [meta.uid, meta.gid, checkMode(meta.mode)];
  const members = numbers.map((value) => encode('u', swap32(value)));
  return join(DIRMETA_TYPE, [...members, meta.xattrsBytes]);
}

function decodeBigEndian(bytes: Uint8Array): number {
  return swap32(decode<number>('u', bytes));
}

/** Returns `mode`. Throws `CORRUPT` if it has bits that `st_mode` does not have. */
export function checkMode(mode: number): number {
  if ((mode & ~MODE_BITS) !== 0) {
    throw new OstrataError('CORRUPT', `mode 0${mode.toString(8)} has unknown bits`);
  }
  return mode;
}
