/**
 * Content objects of the bare modes: `HH/REST.file` holds the bytes themselves, and
 *   bare               owner, mode and xattrs of the file are the object's; symlinks are symlinks;
 *   bare-user          xattr `user.ostreemeta` holds them; a symlink is a file with the target and a NUL (older writers: none);
 *   bare-user-only     the mode is the file's; root owns it and there are no xattrs;
 *   bare-split-xattrs  as bare, but the xattrs are the content of `HH/REST.file-xattrs-link`.
 */
import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import type { BufferSource } from '../bytes/stream.js';
import { compareUtf8, decodeUtf8 } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { readChunks } from '../system/file-chunks.js';
import { getXattr, listXattrs } from '../system/xattr.js';
import type { ContentStore } from './content.js';
import { decodeOwnerModeXattrs } from './objects/dirmeta.js';
import { type FileInfo, fileType } from './objects/file.js';
import { objectPath } from './objects/object-name.js';
import { encodeXattrs, MAX_XATTRS_SIZE, type XattrsInterner } from './objects/xattr-list.js';

export type BareMode = 'bare' | 'bare-user' | 'bare-user-only' | 'bare-split-xattrs';

/** Longest symlink target with its NUL (PATH_MAX). */
const MAX_TARGET_SIZE = 4096;

interface Attributes {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly xattrsBytes: Uint8Array;
}

export class BareStore implements ContentStore {
  readonly #objects: string;
  readonly #mode: BareMode;
  readonly #interner: XattrsInterner;
  /** By what {@link listXattrs} gives. */
  readonly #serialised = new Map<string, Uint8Array>();

  constructor(objects: string, mode: BareMode, interner: XattrsInterner) {
    this.#objects = objects;
    this.#mode = mode;
    this.#interner = interner;
  }

  info(checksum: string): FileInfo | undefined {
    const path = this.#path(checksum);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      return undefined;
    }
    const { uid, gid, mode, xattrsBytes } = this.#attributes(path, stat);
    const { xattrs, bytes } = this.#interner.intern(xattrsBytes);
    const common = { uid, gid, mode, xattrs, xattrsBytes: bytes };
    if (fileType(mode) === 'file') {
      if (!stat.isFile()) {
        throw new OstrataError('CORRUPT', `${path} is no regular file`);
      }
      return { ...common, type: 'file', size: stat.size };
    }
    const target = stat.isSymbolicLink() ? readlinkSync(path, 'buffer') : readTarget(path, stat);
    return { ...common, type: 'symlink', size: 0, target: targetText(target) };
  }

  read(
    checksum: string,
    info: { readonly size: number },
    buffers?: BufferSource,
  ): Iterable<Uint8Array> {
    return info.size > 0 ? readChunks(this.#path(checksum), { buffers }) : [];
  }

  #path(checksum: string): string {
    return `${this.#objects}/${objectPath(checksum, 'file')}`; // join() takes as long as a system call
  }

  #attributes(path: string, { uid, gid, mode }: Stats): Attributes {
    switch (this.#mode) {
      case 'bare':
        return { uid, gid, mode, xattrsBytes: this.#inodeXattrs(path) };
      case 'bare-user': {
        const meta = getXattr(path, 'user.ostreemeta');
        if (meta === undefined) {
          throw new OstrataError('CORRUPT', `${path} has no xattr user.ostreemeta`);
        }
        return decodeOwnerModeXattrs(meta);
      }
      case 'bare-user-only':
        return { uid: 0, gid: 0, mode, xattrsBytes: new Uint8Array() };
      case 'bare-split-xattrs':
        return { uid, gid, mode, xattrsBytes: readBounded(`${path}-xattrs-link`, MAX_XATTRS_SIZE) };
    }
  }

  /** The inode's attributes, serialised. Distinct sets are few: each is checked, sorted and serialised once. */
  #inodeXattrs(path: string): Uint8Array {
    const xattrs = listXattrs(path);
    let key = '';
    for (const [name, value] of xattrs) {
      key += `${latin1(name)}\0${value.length}\0${latin1(value)}`;
    }
    const bytes = this.#serialised.get(key) ?? encodeXattrs(inodeXattrs(path, xattrs));
    this.#serialised.set(key, bytes);
    return bytes;
  }
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}

/** Attributes of `path`, sorted; those without a value are left out, as libostree (libglnx, read_xattr_name_array) does. */
export function inodeXattrs(path: string, listed = listXattrs(path)): Xattrs {
  const xattrs: [string, Uint8Array][] = [];
  for (const [bytes, value] of listed) {
    const name = decodeUtf8(bytes);
    if (name === undefined) {
      throw new OstrataError('UNSUPPORTED', `${path} has an xattr whose name is not UTF-8`);
    }
    if (value.length > 0) {
      xattrs.push([name, value]);
    }
  }
  return new Map(xattrs.sort(([a], [b]) => compareUtf8(a, b)));
}

function readTarget(path: string, stat: Stats): Uint8Array {
  if (stat.size > MAX_TARGET_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `${path}: symlink target of ${stat.size} bytes, at most ${MAX_TARGET_SIZE}`,
    );
  }
  const bytes = readFileSync(path);
  return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
}

function targetText(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined || text === '' || text.includes('\0')) {
    throw new OstrataError(
      'CORRUPT',
      `symlink target ${JSON.stringify(Buffer.from(bytes).toString())}`,
    );
  }
  return text;
}

function readBounded(path: string, limit: number): Uint8Array {
  const { size } = lstatSync(path);
  if (size > limit) {
    throw new OstrataError('LIMIT', `${path} has ${size} bytes, at most ${limit}`);
  }
  return readFileSync(path);
}
