/**
 * PAX extended headers: the body of an entry of type `x`, whose records replace fields of the entry
 * after it (IEEE Std 1003.1, pax, "pax Extended Header"). A record is `LENGTH KEYWORD=VALUE\n`,
 * where LENGTH counts the whole record including its own digits, in decimal.
 *
 * Extended attributes are records `SCHILY.xattr.NAME=VALUE`, as star, GNU tar, Go and Rust write
 * them.
 */
import { Cursor } from '../bytes/cursor.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { decodeText, requireSafe } from './fields.js';

const XATTR_PREFIX = 'SCHILY.xattr.';

interface MutableOverrides {
  name?: string | undefined;
  linkname?: string | undefined;
  size?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: number | undefined;
  xattrs?: Map<string, Uint8Array> | undefined;
}

/**
 * What extended headers state about the entry that follows. It replaces the fields of that entry's
 * header block.
 */
export type Overrides = Readonly<MutableOverrides>;

/** Encodes one record. */
export function encodePaxRecord(keyword: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), value, Buffer.from('\n')]);
  // LENGTH counts its own digits, so it is computed again until it no longer changes.
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Encodes the records of extended attributes, in the order of the map. */
export function encodePaxXattrs(xattrs: Xattrs): Buffer[] {
  return [...xattrs].map(([name, value]) =>
    encodePaxRecord(XATTR_PREFIX + escapeKeyword(name), value),
  );
}

/** Decodes the body of an extended header. Ignores records with unknown keywords. */
export function decodePax(body: Buffer): Overrides {
  const cursor = new Cursor(body, 'pax header');
  const overrides: MutableOverrides = {};
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

    const keyword = decodeText(record.subarray(0, equals), 'pax keyword');
    applyRecord(overrides, keyword, record.subarray(equals + 1, -1));
  }
  return overrides;
}

function applyRecord(overrides: MutableOverrides, keyword: string, value: Buffer): void {
  if (keyword.startsWith(XATTR_PREFIX)) {
    const name = unescapeKeyword(keyword.slice(XATTR_PREFIX.length));
    overrides.xattrs ??= new Map();
    overrides.xattrs.set(name, Buffer.from(value));
    return;
  }
  // The bytes in the entry of a sparse file are not its content: the holes are left out.
  if (keyword.startsWith('GNU.sparse.')) {
    throw new OstrataError('UNSUPPORTED', 'sparse file in a tar archive');
  }

  switch (keyword) {
    case 'path':
      overrides.name = decodeText(value, 'path');
      break;
    case 'linkpath':
      overrides.linkname = decodeText(value, 'linkpath');
      break;
    case 'size':
    case 'uid':
    case 'gid':
      overrides[keyword] = decodeInteger(keyword, value);
      break;
    case 'mtime':
      overrides.mtime = Math.floor(Number(value.toString('latin1')) || 0);
  }
}

function decodeInteger(keyword: string, value: Buffer): number {
  const digits = value.toString('latin1');
  if (!/^[0-9]{1,16}$/.test(digits)) {
    throw new OstrataError('CORRUPT', `pax ${keyword} is ${JSON.stringify(digits)}`);
  }
  return requireSafe(Number(digits), keyword);
}

/** Escapes, as GNU tar does, the two characters that cannot stand in a keyword. */
function escapeKeyword(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function unescapeKeyword(name: string): string {
  return name.replaceAll('%3D', '=').replaceAll('%25', '%');
}
