/** Single files below a directory of this machine, e.g. an unpacked root file system. */
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import type { BufferSource } from '../bytes/stream.js';
import { decodeUtf8 } from '../bytes/text.js';
import { errnoOf, inContext, OstrataError, wrapError } from '../errors.js';
import { inodeXattrs } from '../ostree/bare.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { readChunks } from '../system/file-chunks.js';
import { type ReadableTree, readInTurn, rememberingLookup, wholeFile } from './lookup.js';
import { childPath } from './path.js';
import type {
  ContentEntry,
  Directory,
  FileEntry,
  RegularFile,
  Symlink,
  TreePath,
  Xattrs,
} from './tree.js';

/**
 * Looks up single files below `directory`, without a walk. Symlinks are followed within
 * `directory`, never out of it. Throws `NOT_FOUND` if there is no such directory.
 */
export function lookupDirectory(directory: string): ReadableTree {
  const root = rootDirectory(directory);
  const files = rememberingLookup((path) => entryAt(root, path));
  const read = (file: RegularFile) => readUnchanged(root + file.path, file.size);
  return {
    name: root,
    files,
    bytes: (path) => wholeFile(path, files.resolve(path, true), root, read),
    readFiles: (wanted, start) => readInTurn(wanted, start, read),
  };
}

/**
 * Returns `directory` without trailing slashes. Throws `NOT_FOUND` if there is no such directory.
 */
export function rootDirectory(directory: string): string {
  const root = directory.replace(/(?<=.)\/+$/, '');
  const stats = inContext('reading', () => lstatIfThere(`${root}/`));
  if (!stats?.isDirectory()) {
    throw new OstrataError('NOT_FOUND', `there is no directory ${root}`);
  }
  return root;
}

/**
 * Returns the entry at exactly this path; undefined if nothing, a socket, a pipe or a device is
 * there.
 */
function entryAt(root: string, path: TreePath): FileEntry | undefined {
  // The path of the root ends in a slash, so that lstat follows a symlink there.
  const realPath = root + path;
  const stats = inContext('reading', () => lstatIfThere(realPath));
  if (stats === undefined) {
    return undefined;
  }

  if (stats.isDirectory()) {
    return directoryEntry(path, stats, new LazyAttributes(realPath, stats));
  }
  const content = contentAt(realPath, stats);
  if (content === undefined) {
    return undefined;
  }
  return contentEntry(path, stats, content, new LazyAttributes(realPath, stats, content.target));
}

// The getters belong to the entry itself, not to a class, so that a copy ({ ...entry }) has their
// values.

function directoryEntry(path: TreePath, stats: Stats, lazy: LazyAttributes): Directory {
  const { mode, uid, gid } = stats;
  return {
    type: 'directory',
    path,
    mode,
    uid,
    gid,
    get xattrs() {
      return lazy.xattrs;
    },
  };
}

function contentEntry(
  path: TreePath,
  stats: Stats,
  content: Content,
  lazy: LazyAttributes,
): ContentEntry {
  const { mode, uid, gid } = stats;
  return {
    ...content,
    path,
    mode,
    uid,
    gid,
    get xattrs() {
      return lazy.xattrs;
    },
    get checksum() {
      return lazy.checksum;
    },
  };
}

type Content =
  | (Pick<RegularFile, 'type' | 'size' | 'mtime'> & { readonly target?: never })
  | Pick<Symlink, 'type' | 'size' | 'target'>;

function contentAt(realPath: string, stats: Stats): Content | undefined {
  if (stats.isFile()) {
    return { type: 'file', size: stats.size, mtime: Math.floor(stats.mtimeMs / 1000) };
  }
  if (stats.isSymbolicLink()) {
    return { type: 'symlink', size: 0, target: linkTarget(realPath) };
  }
  return undefined;
}

function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Nothing can exist below a file, or under a name longer than file names can be.
    const code = errnoOf(error);
    if (code === 'ENOTDIR' || code === 'ENAMETOOLONG') {
      return undefined;
    }
    throw error;
  }
}

/** Returns the names in a directory. Throws `UNSUPPORTED` for a name that is not UTF-8. */
export function childNames(root: string, directory: TreePath): readonly string[] {
  const names = inContext('reading', () => readdirSync(root + directory, { encoding: 'buffer' }));
  return names.map((bytes) => {
    const name = decodeUtf8(bytes);
    if (name === undefined) {
      const shown = JSON.stringify(bytes.toString('latin1'));
      throw new OstrataError(
        'UNSUPPORTED',
        `${root}${childPath(directory, '')}: the file name ${shown} (as Latin-1) is not UTF-8`,
      );
    }
    return name;
  });
}

/** Returns the target of a symlink. Throws `UNSUPPORTED` if it is not UTF-8. */
export function linkTarget(path: string): string {
  const bytes = inContext('reading', () => readlinkSync(path, { encoding: 'buffer' }));
  const target = decodeUtf8(bytes);
  if (target === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${path}: the symlink target ${bytes.toString('latin1')} is not UTF-8`,
    );
  }
  return target;
}

/** Reads a file. Throws `IO` unless it still has the size that it had when it was looked up. */
export function* readUnchanged(
  path: string,
  size: number,
  buffers?: BufferSource,
): Iterable<Uint8Array> {
  let length = 0;
  try {
    for (const chunk of readChunks(path, { buffers })) {
      length += chunk.length;
      if (length > size) {
        break;
      }
      yield chunk;
    }
  } catch (error) {
    throw wrapError(`reading ${path}`, error);
  }
  if (length !== size) {
    throw new OstrataError('IO', `${path} was changed while it was read: it had ${size} bytes`);
  }
}

/**
 * Attributes that take a system call or reading the whole content. They are read at the first use.
 */
class LazyAttributes {
  readonly #path: string;
  readonly #stats: Stats;
  readonly #target: string | undefined;
  #xattrs: Xattrs | undefined;
  #checksum: string | undefined;

  /** @param target of a symlink */
  constructor(path: string, stats: Stats, target?: string) {
    this.#path = path;
    this.#stats = stats;
    this.#target = target;
  }

  get xattrs(): Xattrs {
    this.#xattrs ??= inodeXattrs(this.#path);
    return this.#xattrs;
  }

  /** Checksum of the content object that a commit of this file would hold. */
  get checksum(): string {
    this.#checksum ??= this.#computeChecksum();
    return this.#checksum;
  }

  #computeChecksum(): string {
    const { uid, gid, mode, size } = this.#stats;
    const target = this.#target;
    const xattrsBytes = encodeXattrs(this.xattrs);
    const hash = startFileChecksum({ uid, gid, mode, size, target, xattrsBytes });
    if (target === undefined) {
      for (const chunk of readUnchanged(this.#path, size)) {
        hash.update(chunk);
      }
    }
    return hash.digest('hex');
  }
}
