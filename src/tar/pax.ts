/**
 * PAX extended headers: the body of an entry of type `x`, whose records replace fields of the entry
 * after it (IEEE Std 1003.1, pax, "pax Extended Header"). A record is `LENGTH KEYWORD=VALUE\n`,
 * where LENGTH counts the whole record including its own digits, in decimal.
 *
 * Extended attributes are records `SCHILY.xattr.NAME=VALUE`, as star, GNU tar, Go and Rust write
 * them, or `LIBARCHIVE.xattr.NAME=VALUE` of bsdtar, where NAME is URL-encoded and VALUE is base64:
 * https://github.com/libarchive/libarchive/blob/master/libarchive/tar.5
 */
import { Cursor } from '../bytes/cursor.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { decodeDecimal, decodeText } from './fields.js';
import { readSparseRecord, type SparseRecords } from './sparse.js';

const XATTR_PREFIX = 'SCHILY.xattr.';
const SPARSE_PREFIX = 'GNU.sparse.';
const LIBARCHIVE_XATTR_PREFIX = 'LIBARCHIVE.xattr.';

interface MutableOverrides {
  name?: string | undefined;
  linkname?: string | undefined;
  size?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  mtime?: number | undefined;
  xattrs?: Map<string, Uint8Array> | undefined;
  sparse?: SparseRecords | undefined;
}

/**
 * What extended headers state about the entry that follows. It replaces the fields of that entry's
 * header block.
 */
export type Overrides = Readonly<MutableOverrides>;

/** What the records of one extended header say so far. */
interface Records {
  readonly overrides: MutableOverrides;
  readonly schilyXattrs: Map<string, Uint8Array>;
  readonly libarchiveXattrs: Map<string, Uint8Array>;
}

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
  const records: Records = {
    overrides: {},
    schilyXattrs: new Map(),
    libarchiveXattrs: new Map(),
  };
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
    applyRecord(records, keyword, record.subarray(equals + 1, -1));
  }

  const { overrides, schilyXattrs, libarchiveXattrs } = records;
  // bsdtar writes both records. Container engines read the first form only, so it wins.
  const xattrs = new Map([...libarchiveXattrs, ...schilyXattrs]);
  return xattrs.size === 0 ? overrides : { ...overrides, xattrs };
}

function applyRecord(records: Records, keyword: string, value: Buffer): void {
  const { overrides, schilyXattrs, libarchiveXattrs } = records;
  if (keyword.startsWith(XATTR_PREFIX)) {
    const name = unescapeKeyword(keyword.slice(XATTR_PREFIX.length));
    schilyXattrs.set(checkXattrName(name), Buffer.from(value));
    return;
  }
  if (keyword.startsWith(LIBARCHIVE_XATTR_PREFIX)) {
    const name = decodeUrl(keyword.slice(LIBARCHIVE_XATTR_PREFIX.length));
    libarchiveXattrs.set(checkXattrName(name), decodeBase64(keyword, value));
    return;
  }
  if (keyword.startsWith(SPARSE_PREFIX)) {
    overrides.sparse ??= { numbers: [] };
    readSparseRecord(overrides.sparse, keyword.slice(SPARSE_PREFIX.length), value);
    return;
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
      overrides[keyword] = decodeDecimal(value.toString('latin1'), `pax ${keyword}`);
      break;
    case 'mtime':
      overrides.mtime = decodeTime(keyword, value);
      break;
    case 'atime':
    case 'ctime':
      // Not needed here, but programs that need them refuse the archive.
      decodeTime(keyword, value);
  }
}

/** Decodes a time in seconds since 1970. Returns the last whole second that is not after it. */
function decodeTime(keyword: string, value: Buffer): number {
  const text = value.toString('latin1');
  const [, digits, fraction = ''] = /^(-?[0-9]+)(?:\.([0-9]*))?$/.exec(text) ?? [];
  const seconds = Number(digits);
  if (!Number.isSafeInteger(seconds)) {
    throw new OstrataError('CORRUPT', `pax ${keyword} is ${JSON.stringify(text)}`);
  }
  const isRoundedUp = text.startsWith('-') && /[1-9]/.test(fraction);
  // Not -0, to which `-0` is decoded.
  return seconds - (isRoundedUp ? 1 : 0) + 0;
}

function checkXattrName(name: string): string {
  if (name === '' || name.includes('\0')) {
    throw new OstrataError('CORRUPT', `pax header with an xattr named ${JSON.stringify(name)}`);
  }
  return name;
}

/** Decodes `%XX`, each of which is a byte of UTF-8. A `%` without two digits stands for itself. */
function decodeUrl(text: string): string {
  const decoded = Buffer.from(text)
    .toString('latin1')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
  return decodeText(Buffer.from(decoded, 'latin1'), 'xattr name');
}

/** Decodes base64 with or without padding, for which old versions of libarchive wrote `_`. */
function decodeBase64(keyword: string, value: Buffer): Buffer {
  const [, digits] = /^([A-Za-z0-9+/]*)[=_]*$/.exec(value.toString('latin1')) ?? [];
  if (digits === undefined || digits.length % 4 === 1) {
    throw new OstrataError('CORRUPT', `pax ${keyword} is not base64`);
  }
  return Buffer.from(digits, 'base64');
}

/** Escapes, as GNU tar does, the two characters that cannot stand in a keyword. */
function escapeKeyword(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function unescapeKeyword(name: string): string {
  return name.replaceAll('%3D', '=').replaceAll('%25', '%');
}
