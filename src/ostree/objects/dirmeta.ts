/**
 * Dirmeta objects: `(uuua(ayay))` = uid, gid, mode (with S_IFDIR), xattrs; integers big-endian. The xattr
 * `user.ostreemeta` of a content object in a bare-user repository has the same form, with the file's mode.
 * Source: ostree-core.h, OSTREE_DIRMETA_GVARIANT_STRING.
 */
import type { Xattrs } from '../../bytes/xattrs.js';
import { OstrataError } from '../../errors.js';
import { decode, encode, join, split, swap32 } from '../gvariant/value.js';
import { decodeXattrs, encodeXattrs } from './xattr-list.js';

const DIRMETA_TYPE = '(uuua(ayay))';
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
/** All of st_mode that chmod(2) can set. */
export const PERMISSION_BITS = 0o7777;
/** S_IFMT and the twelve permission bits: all that fits st_mode. */
const MODE_BITS = 0o177777;

export interface Dirmeta {
  readonly uid: number;
  readonly gid: number;
  /** `st_mode`, S_IFDIR included. */
  readonly mode: number;
  readonly xattrs: Xattrs;
}

export function decodeDirmeta(bytes: Uint8Array): Dirmeta {
  const { xattrsBytes, ...meta } = decodeOwnerModeXattrs(bytes);
  if ((meta.mode & S_IFMT) !== S_IFDIR) {
    throw new OstrataError('CORRUPT', `directory of mode 0${meta.mode.toString(8)}`);
  }
  return { ...meta, xattrs: decodeXattrs(xattrsBytes) };
}

export function encodeDirmeta(dirmeta: Dirmeta): Uint8Array {
  return encodeOwnerModeXattrs({ ...dirmeta, xattrsBytes: encodeXattrs(dirmeta.xattrs) });
}

export interface OwnerModeXattrs {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** `a(ayay)`, serialised. */
  readonly xattrsBytes: Uint8Array;
}

/** `(uuua(ayay))` of a file of any type: the value of `user.ostreemeta`. */
export function decodeOwnerModeXattrs(bytes: Uint8Array): OwnerModeXattrs {
  const [uid, gid, mode, xattrsBytes] = split(DIRMETA_TYPE, bytes) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return {
    uid: swap32(decode('u', uid) as number),
    gid: swap32(decode('u', gid) as number),
    mode: checkMode(swap32(decode('u', mode) as number)),
    xattrsBytes,
  };
}

export function encodeOwnerModeXattrs({
  uid,
  gid,
  mode,
  xattrsBytes,
}: OwnerModeXattrs): Uint8Array {
  const numbers = [uid, gid, checkMode(mode)].map((value) => encode('u', swap32(value)));
  return join(DIRMETA_TYPE, [...numbers, xattrsBytes]);
}

/** `mode` if it has no bits that st_mode has not. */
export function checkMode(mode: number): number {
  if ((mode & ~MODE_BITS) !== 0) {
    throw new OstrataError('CORRUPT', `mode 0${mode.toString(8)}`);
  }
  return mode;
}
