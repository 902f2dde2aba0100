/** All entries of a tree in memory, by path. */
import { compareUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import type { FileEntry } from './entry.js';
import { type PathLookup, resolvePath } from './lookup.js';

/**
 * Limit for the files and directories of one tree: several times as many as the largest desktop
 * systems have, and at 200 bytes an entry still well below Node's default heap. The limit is needed
 * because a small input can expand to more, by using one directory in many places or by naming
 * directories that no layer has an entry for.
 */
export const MAX_TREE_ENTRIES = 4_000_000;

/**
 * The order by UTF-16 code units differs from the order by UTF-8 bytes only for paths with
 * surrogates. All others are compared by the operator `<`, which sorts a million paths in half the
 * time.
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

  /** Implements {@link PathLookup.resolve}. */
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
