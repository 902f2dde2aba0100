/**
 * Reads the content objects of the bare repository modes. `HH/REST.file` holds the content itself.
 *
 *     bare               owner, mode and xattrs of the file are those of the object, and symlinks
 *                        are symlinks
 *     bare-user          the xattr `user.ostreemeta` holds them; a symlink is a regular file that
 *                        holds the target and a NUL, which older writers left out
 *     bare-user-only     the mode is that of the file; root owns every object, none has xattrs
 *     bare-split-xattrs  as bare, but `HH/REST.file-xattrs-link` holds the xattrs
 */
import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import type { BufferSource } from '../bytes/stream.js';
import { compareUtf8, decodeUtf8 } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { readChunks } from '../system/file-chunks.js';
import { getXattr, listXattrs } from '../system/xattr.js';
import type { ContentStore } from './content.js';
import { decodeOwnerModeXattrs, type OwnerModeXattrs } from './objects/dirmeta.js';
import { type FileInfo, fileType, MAX_TARGET_SIZE } from './objects/file.js';
import { objectPath } from './objects/object-name.js';
import { encodeXattrs, MAX_XATTRS_SIZE, type XattrsInterner } from './objects/xattr-list.js';

type BareMode = 'bare' | 'bare-user' | 'bare-user-only' | 'bare-split-xattrs';

/** Longest symlink target with its NUL (PATH_MAX). */
const MAX_TARGET_FILE_SIZE = MAX_TARGET_SIZE + 1;

export class BareStore implements ContentStore {
  readonly #objects: string;
  readonly #mode: BareMode;
  readonly #interner: XattrsInterner;
  /** Serialized xattrs. The key is made of the names and values as the system listed them. */
  readonly #serialized = new Map<string, Uint8Array>();

  /** @param objects the directory that holds the objects */
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
    if (fileType(mode) === 'symlink') {
      return { ...common, type: 'symlink', size: 0, target: readTarget(path, stat) };
    }
    if (!stat.isFile()) {
      throw new OstrataError('CORRUPT', `${path} is not a regular file`);
    }
    return { ...common, type: 'file', size: stat.size };
  }

  read(
    checksum: string,
    info: { readonly size: number },
    buffers?: BufferSource,
  ): Iterable<Uint8Array> {
    return info.size > 0 ? readChunks(this.#path(checksum), { buffers }) : [];
  }

  #path(checksum: string): string {
    // Not by join(), which takes as long as a system call.
    return `${this.#objects}/${objectPath(checksum, 'file')}`;
  }

  #attributes(path: string, { uid, gid, mode }: Stats): OwnerModeXattrs {
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
      case 'bare-split-xattrs': {
        const xattrsBytes = readBounded(`${path}-xattrs-link`, MAX_XATTRS_SIZE);
        return { uid, gid, mode, xattrsBytes };
      }
    }
  }

  /** Serializes the xattrs of an inode. Distinct sets are few, so each is sorted only once. */
  #inodeXattrs(path: string): Uint8Array {
    const listed = listXattrs(path);
    let key = '';
    for (const [name, value] of listed) {
      key += `${latin1(name)}\0${value.length}\0${latin1(value)}`;
    }

    let bytes = this.#serialized.get(key);
    if (bytes === undefined) {
      bytes = encodeXattrs(inodeXattrs(path, listed));
      this.#serialized.set(key, bytes);
    }
    return bytes;
  }
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}

/**
 * Returns the extended attributes of the inode at `path`, sorted by name. Leaves out those with an
 * empty value, as libostree does (read_xattr_name_array in libglnx).
 */
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

/** Reads the target of a symlink, which a bare-user repository keeps in a regular file. */
function readTarget(path: string, stat: Stats): string {
  const bytes = stat.isSymbolicLink() ? readlinkSync(path, 'buffer') : readTargetFile(path, stat);
  const text = decodeUtf8(bytes);
  if (text === undefined || text === '' || text.includes('\0')) {
    const shown = JSON.stringify(Buffer.from(bytes).toString());
    throw new OstrataError('CORRUPT', `invalid symlink target ${shown}`);
  }
  return text;
}

function readTargetFile(path: string, stat: Stats): Uint8Array {
  if (stat.size > MAX_TARGET_FILE_SIZE) {
    throw new OstrataError(
      'LIMIT',
      `${path}: symlink target of ${stat.size} bytes, at most ${MAX_TARGET_FILE_SIZE}`,
    );
  }
  const bytes = readFileSync(path);
  return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
}

function readBounded(path: string, limit: number): Uint8Array {
  const { size } = lstatSync(path);
  if (size > limit) {
    throw new OstrataError('LIMIT', `${path} has ${size} bytes, at most ${limit}`);
  }
  return readFileSync(path);
}
