/**
 * Walks the tree below a directory and reads what `lstat` says about each entry. Content and
 * extended attributes are read later, by worker threads (directory-tree.ts).
 */
import { type BigIntStats, lstatSync, type Stats } from 'node:fs';
import { inContext, OstrataError } from '../errors.js';
import type { Logger } from '../log.js';
import { childNames, linkTarget, rootDirectory } from './directory.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import { childPath } from './path.js';
import type { TreePath } from './tree.js';

/** Which entries of a directory belong to its tree. */
export interface WalkOptions {
  readonly log: Logger;
  /** Whether the entry at this path, with everything below it, is left out. */
  readonly isPruned?: ((path: TreePath) => boolean) | undefined;
  /** Whether directories on other file systems (mounts) are left empty. */
  readonly oneFileSystem?: boolean | undefined;
  /**
   * Whether sockets, pipes and devices are left out, with one warning. Otherwise they are errors.
   */
  readonly skipSpecialFiles?: boolean | undefined;
}

/** An entry without its content and extended attributes. */
export interface WalkedEntry {
  readonly type: 'file' | 'symlink' | 'directory';
  readonly path: TreePath;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a regular file; 0 for other entries. */
  readonly size: number;
  /** Seconds since 1970, rounded down. */
  readonly mtime: number;
  /** Of a symlink. */
  readonly target?: string | undefined;
  /** The same for all names of a file that has several. */
  readonly inode?: string | undefined;
}

/** The attributes that not every type of entry has. */
type TypedAttributes = Pick<WalkedEntry, 'type' | 'target' | 'inode'> & {
  readonly size?: number;
};

/**
 * Returns all entries below `root`, in no particular order, the root first. Symlinks are not
 * followed. Throws `UNSUPPORTED` for a name that is not UTF-8 and for a special file, `LIMIT` for a
 * tree of more than {@link MAX_TREE_ENTRIES} entries, and `IO` for what cannot be read.
 */
export function walkDirectory(root: string, options: WalkOptions): readonly WalkedEntry[] {
  const walk = new Walk(rootDirectory(root), options);
  return walk.run();
}

class Walk {
  readonly #root: string;
  readonly #options: WalkOptions;
  readonly #entries: WalkedEntry[] = [];
  readonly #pending: TreePath[] = ['/'];
  readonly #device: number;
  #specialCount = 0;

  constructor(root: string, options: WalkOptions) {
    this.#root = root;
    this.#options = options;
    const stats = this.#stats('/');
    this.#device = stats.dev;
    this.#entries.push(walkedEntry('/', stats, { type: 'directory' }));
  }

  run(): readonly WalkedEntry[] {
    let parent = this.#pending.pop();
    while (parent !== undefined) {
      const names = childNames(this.#root, parent);
      for (const name of names) {
        this.#visit(childPath(parent, name));
      }
      parent = this.#pending.pop();
    }

    const count = this.#specialCount;
    if (count > 0) {
      const { log } = this.#options;
      log.warn(`${this.#root}: ${count} sockets, pipes or devices are left out`);
    }
    return this.#entries;
  }

  #visit(path: TreePath): void {
    if (this.#options.isPruned?.(path)) {
      return;
    }
    const stats = this.#stats(path);
    if (stats.isDirectory()) {
      this.#add(walkedEntry(path, stats, { type: 'directory' }));
      if (!this.#options.oneFileSystem || stats.dev === this.#device) {
        this.#pending.push(path);
      }
    } else if (stats.isFile()) {
      const { size } = stats;
      const inode = this.#inode(path, stats);
      this.#add(walkedEntry(path, stats, { type: 'file', size, inode }));
    } else if (stats.isSymbolicLink()) {
      const target = linkTarget(this.#root + path);
      const inode = this.#inode(path, stats);
      this.#add(walkedEntry(path, stats, { type: 'symlink', target, inode }));
    } else {
      this.#special(path);
    }
  }

  #add(entry: WalkedEntry): void {
    if (this.#entries.length === MAX_TREE_ENTRIES) {
      throw new OstrataError('LIMIT', `${this.#root}: more than ${MAX_TREE_ENTRIES} entries`);
    }
    this.#entries.push(entry);
  }

  #special(path: TreePath): void {
    if (!this.#options.skipSpecialFiles) {
      throw new OstrataError(
        'UNSUPPORTED',
        `${this.#root}${path} is a socket, a pipe or a device; ` +
          '--skip-special-files leaves such files out',
      );
    }
    this.#specialCount++;
  }

  #stats(path: TreePath): Stats {
    // The path of the root ends in a slash, so that lstat follows a symlink there.
    return inContext('reading', () => lstatSync(this.#root + path));
  }

  /** Inode numbers can have 64 bits (on overlay file systems, for example), a number only 53. */
  #inode(path: TreePath, { nlink }: Stats): string | undefined {
    if (nlink < 2) {
      return undefined;
    }
    const stats: BigIntStats = inContext('reading', () =>
      lstatSync(this.#root + path, { bigint: true }),
    );
    return `${stats.dev}:${stats.ino}`;
  }
}

function walkedEntry(
  path: TreePath,
  stats: Stats,
  { type, size = 0, target, inode }: TypedAttributes,
): WalkedEntry {
  // Node reads these numbers from an array of doubles, and V8 keeps each of them in a box of its
  // own. `floor` returns them without one.
  return {
    type,
    path,
    mode: Math.floor(stats.mode),
    uid: Math.floor(stats.uid),
    gid: Math.floor(stats.gid),
    size: Math.floor(size),
    mtime: Math.floor(stats.mtimeMs / 1000),
    target,
    inode,
  };
}
