/** The tree below a folder of this machine, e.g. an unpacked root file system. */
import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { decodeUtf8 } from '../bytes/text.js';
import { inContext, OstrataError, wrapError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import { inodeXattrs } from '../ostree/bare.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import { readChunks } from '../system/file-chunks.js';
import { FileMap } from './file-map.js';
import { type LookupTree, regularFile, rememberingLookup, wholeFile } from './lookup.js';
import type { FileEntry, Tree, TreePath, Xattrs } from './tree.js';

/**
 * Walks everything below `directory`; symlinks are kept, not followed (but for `directory` itself). Sockets, pipes
 * and devices have no place in a tree: they are left out with one warning. Throws `UNSUPPORTED` for a name that is not
 * UTF-8. Extended attributes and checksums are read when an entry is asked for them.
 */
export function openDirectoryTree(directory: string, log: Logger = silentLogger): Tree {
  const tree = lookupDirectory(directory);
  const root = tree.name;
  const entries: FileEntry[] = [];
  let skipped = 0;
  const pending: TreePath[] = ['/'];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    entries.push(entryAt(root, parent) as FileEntry);
    for (const path of children(root, parent)) {
      const entry = entryAt(root, path);
      if (entry === undefined) {
        skipped++;
      } else if (entry.type === 'directory') {
        pending.push(path);
      } else {
        entries.push(entry);
      }
    }
  }
  if (skipped > 0) {
    log.warn(`${root}: ${skipped} sockets, pipes or devices are left out`);
  }
  const files = new FileMap(entries);
  log.info(`${root}: ${files.size} entries`);
  return {
    name: tree.name,
    files,
    read: (path) => readSteady(root + path, regularFile(path, files.get(path), root).size),
    bytes: tree.bytes,
  };
}

/** Single files below `directory`, without a walk. Symlinks are followed within it, never out of it. */
export function lookupDirectory(directory: string): LookupTree {
  const root = directory.replace(/(?<=.)\/+$/, '');
  if (!inContext('reading', () => lstatSync(`${root}/`)).isDirectory()) {
    throw new OstrataError('NOT_FOUND', `${root} is not a folder`);
  }
  const files = rememberingLookup((path) => entryAt(root, path));
  return {
    name: root,
    files,
    bytes: (path) =>
      wholeFile(path, files.resolve(path, true), root, (file) =>
        readSteady(root + file.path, file.size),
      ),
  };
}

/** What is at `path` itself; undefined where nothing is, or neither a file, directory nor symlink. */
function entryAt(root: string, path: TreePath): FileEntry | undefined {
  const real = root + path;
  // The root may be a symlink: its trailing slash follows it.
  const stats = inContext('reading', () => lstatIfThere(real));
  if (stats === undefined) {
    return undefined;
  }
  const { mode, uid, gid, size } = stats;
  const target = stats.isSymbolicLink() ? targetOf(real) : undefined;
  const lazy = new LazyAttributes(real, stats, target);
  // Getters of the entry itself, not of a class: a copy of the entry has them too.
  if (stats.isDirectory()) {
    return {
      ...{ type: 'directory', path, mode, uid, gid },
      get xattrs() {
        return lazy.xattrs;
      },
    };
  }
  if (!stats.isFile() && target === undefined) {
    return undefined;
  }
  return {
    ...(target === undefined ? { type: 'file', size } : { type: 'symlink', size: 0, target }),
    ...{ path, mode, uid, gid },
    get xattrs() {
      return lazy.xattrs;
    },
    get checksum() {
      return lazy.checksum;
    },
  };
}

function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Below a file, or with a name longer than any file has, there is nothing.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' || code === 'ENAMETOOLONG') {
      return undefined;
    }
    throw error;
  }
}

function children(root: string, directory: TreePath): TreePath[] {
  const prefix = directory === '/' ? '/' : (`${directory}/` as const);
  const names = inContext('reading', () => readdirSync(root + directory, { encoding: 'buffer' }));
  return names.map((bytes): TreePath => {
    const name = decodeUtf8(bytes);
    if (name !== undefined) {
      return `${prefix}${name}`;
    }
    const shown = JSON.stringify(bytes.toString('latin1'));
    throw new OstrataError(
      'UNSUPPORTED',
      `${root}${prefix}: the file name ${shown} (as Latin-1) is not UTF-8`,
    );
  });
}

function targetOf(path: string): string {
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

/** The bytes of a file that must still have the size it had when it was looked at. */
function* readSteady(path: string, size: number): Iterable<Uint8Array> {
  let seen = 0;
  try {
    for (const chunk of readChunks(path)) {
      seen += chunk.length;
      if (seen > size) {
        break;
      }
      yield chunk;
    }
  } catch (error) {
    throw wrapError('reading', error);
  }
  if (seen !== size) {
    throw new OstrataError('IO', `${path} was changed while it was read: it had ${size} bytes`);
  }
}

/** What costs a system call or the whole content is read at the first use. */
class LazyAttributes {
  readonly #path: string;
  readonly #stats: Stats;
  readonly #target: string | undefined;
  #xattrs: Xattrs | undefined;
  #checksum: string | undefined;

  constructor(path: string, stats: Stats, target: string | undefined) {
    this.#path = path;
    this.#stats = stats;
    this.#target = target;
  }

  get xattrs(): Xattrs {
    this.#xattrs ??= inodeXattrs(this.#path);
    return this.#xattrs;
  }

  /** That of the content object which a commit of this file would hold. */
  get checksum(): string {
    this.#checksum ??= this.#computeChecksum();
    return this.#checksum;
  }

  #computeChecksum(): string {
    const { uid, gid, mode, size } = this.#stats;
    const target = this.#target === undefined ? undefined : { target: this.#target };
    const hash = startFileChecksum({
      uid,
      gid,
      mode,
      size,
      xattrsBytes: encodeXattrs(this.xattrs),
      ...target,
    });
    if (target === undefined) {
      for (const chunk of readSteady(this.#path, size)) {
        hash.update(chunk);
      }
    }
    return hash.digest('hex');
  }
}
