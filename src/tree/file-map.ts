/** All entries of a tree in memory, by path. */
import { compareUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import type { FileEntry } from './entry.js';
import { type PathLookup, resolvePath } from './lookup.js';

/**
 * Files and directories of one tree: several times the largest desktop systems, and at 200 bytes an
 * entry still well below Node's default heap. Small inputs can expand to more than that, by naming
 * one directory in many places or directories that are in no layer.
 */
export const MAX_TREE_ENTRIES = 4_000_000;

/**
 * Only paths with surrogates are in another order by UTF-16 than by UTF-8. All others are compared
 * by the engine, which sorts a million paths in half the time.
 */
const SURROGATE = /[\ud800-\udfff]/;

/** The entries of a tree in byte order of their paths. Immutable. */
export class FileMap implements Iterable<FileEntry>, PathLookup {
  readonly #entries: ReadonlyMap<string, FileEntry>;

  /** Takes entries in any order. Throws `CORRUPT` if two have the same path. */
  constructor(entries: Iterable<FileEntry>) {
    const sorted = [...entries];
    const compare = sorted.some((entry) => SURROGATE.test(entry.path)) ? compareUtf8 : compareUtf16;
    sorted.sort((a, b) => compare(a.path, b.path));
    this.#entries = new Map(sorted.map((entry) => [entry.path, entry]));
    if (this.#entries.size !== sorted.length) {
      throw new OstrataError('CORRUPT', 'a path occurs twice in the tree');
    }
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  [Symbol.iterator](): Iterator<FileEntry> {
    return this.#entries.values();
  }

  /** Returns the entry at exactly this path; no symlink is followed. */
  get(path: string): FileEntry | undefined {
    return this.#entries.get(path);
  }

  /** See {@link PathLookup.resolve}. */
  resolve(path: string, followLast = false): FileEntry | undefined {
    // Nearly all paths are those of entries, and no entry is below a symlink.
    const direct = this.#entries.get(path);
    if (direct !== undefined && !(followLast && direct.type === 'symlink')) {
      return direct;
    }
    return resolvePath((each) => this.#entries.get(each), path, followLast);
  }
}

function compareUtf16(a: string, b: string): number {
  if (a < b) {
    return -1;
  }
  return a > b ? 1 : 0;
}
