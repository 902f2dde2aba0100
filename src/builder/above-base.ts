/**
 * What the layers above a base image have to hold: every entry in which a tree differs from the
 * base, and whiteouts of what the tree does not have.
 */
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import type { FileMap } from '../tree/file-map.js';
import type { KeptBase } from '../tree/kept-base.js';
import { parentPath } from '../tree/path.js';
import type { ContentEntry, FileEntry, TreePath, Xattrs } from '../tree/tree.js';

/** Whether the time of `below` in the base will do for `entry`, which equals it otherwise. */
export type AcceptsTime = (entry: FileEntry, below: FileEntry) => boolean;

/** Finds out what differs from a base. Each entry is asked about until it is found there. */
export class BaseComparison {
  readonly #base: KeptBase;
  /**
   * Files of the base that were found in the tree. Each is found once: two files of the tree must
   * not become hard links of one.
   */
  readonly #found = new Set<string>();

  constructor(base: KeptBase) {
    this.#base = base;
  }

  /**
   * Returns the entries that differ from those of the base. If one name of a file differs, all its
   * names (hard links) do, because a layer cannot have a link to a file of another one.
   */
  differing(entries: Iterable<FileEntry>, acceptsTime: AcceptsTime): readonly FileEntry[] {
    const differing: FileEntry[] = [];
    const linked = new Map<string, ContentEntry[]>();
    for (const entry of entries) {
      if (entry.type === 'directory') {
        if (!this.#isBelow(entry, acceptsTime)) {
          differing.push(entry);
        }
        continue;
      }
      const file = fileOf(entry);
      const names = linked.get(file) ?? [];
      names.push(entry);
      linked.set(file, names);
    }
    for (const names of linked.values()) {
      if (!this.#findFile(names, acceptsTime)) {
        differing.push(...names);
      }
    }
    return differing;
  }

  /** Returns the outermost paths of the base that are not in `files`, sorted. */
  removed(files: FileMap): readonly TreePath[] {
    const paths = Array.from(this.#base.files, ({ path }) => path);
    const removed = [...paths, ...this.#base.removedSpecialFiles].filter((path) => {
      const isParentThere = files.get(parentPath(path))?.type === 'directory';
      return isParentThere && files.get(path) === undefined;
    });
    return removed.sort();
  }

  /** @param names all names of a file of the tree */
  #findFile(names: readonly ContentEntry[], acceptsTime: AcceptsTime): boolean {
    const files = new Set<string>();
    for (const entry of names) {
      const below = this.#base.files.get(entry.path);
      if (below === undefined || below.type === 'directory' || !this.#isBelow(entry, acceptsTime)) {
        return false;
      }
      files.add(fileOf(below));
    }
    const [file = '', ...others] = files;
    if (others.length > 0 || this.#found.has(file)) {
      return false;
    }
    this.#found.add(file);
    return true;
  }

  #isBelow(entry: FileEntry, acceptsTime: AcceptsTime): boolean {
    const below = this.#base.files.get(entry.path);
    return below !== undefined && isEqual(entry, below) && acceptsTime(entry, below);
  }
}

/** Returns the same text for all names of one file. */
function fileOf({ inode, path }: ContentEntry): string {
  return inode ?? path;
}

/** Whether two entries at one path are equal but for their times. */
function isEqual(a: FileEntry, b: FileEntry): boolean {
  if (a.type !== 'directory' && b.type !== 'directory') {
    return a.checksum === b.checksum;
  }
  const isSameOwner = a.uid === b.uid && a.gid === b.gid;
  return a.mode === b.mode && isSameOwner && isSameXattrs(a.xattrs, b.xattrs);
}

function isSameXattrs(a: Xattrs, b: Xattrs): boolean {
  // The entries of one tree share equal sets.
  return a === b || Buffer.compare(encodeXattrs(a), encodeXattrs(b)) === 0;
}
