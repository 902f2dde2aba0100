import { compareUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import type { FileEntry, TreePath } from './entry.js';
import { type PathLookup, resolvePath } from './lookup.js';

/** Only paths with surrogates can order differently by UTF-16; the engine's own comparison sorts a million paths in half the time. */
const SURROGATE = /[\ud800-\udfff]/;

/** The entries of a tree in byte order of their paths, with look-up and resolution through symlinks. Immutable. */
export class FileMap implements Iterable<FileEntry>, PathLookup {
  readonly #entries: ReadonlyMap<string, FileEntry>;

  /** @param entries in any order; a path given twice is an error */
  constructor(entries: Iterable<FileEntry>) {
    const sorted = [...entries];
    const compare = sorted.some((entry) => SURROGATE.test(entry.path)) ? compareUtf8 : compareUtf16;
    sorted.sort((a, b) => compare(a.path, b.path));
    this.#entries = new Map(sorted.map((entry) => [entry.path, entry]));
    if (this.#entries.size !== sorted.length) {
      throw new OstrataError('CORRUPT', 'a path occurs twice in the tree');
    }
  }

  get size(): number {
    return this.#entries.size;
  }
  [Symbol.iterator](): Iterator<FileEntry> {
    return this.#entries.values();
  }
  get(path: string): FileEntry | undefined {
    return this.#entries.get(path);
  }

  /** See {@link PathLookup.resolve}. */
  resolve(path: string, followLast = false): FileEntry | undefined {
    // A path of the tree has no symlink above it: nearly all are found at once.
    const direct = this.#entries.get(path);
    if (direct !== undefined && !(followLast && direct.type === 'symlink')) {
      return direct;
    }
    return resolvePath((each) => this.#entries.get(each), path, followLast);
  }
}

/** The directory that holds `path`; `/` for a top-level path. */
export function parentPath(path: TreePath): TreePath {
  return (path.slice(0, Math.max(1, path.lastIndexOf('/'))) || '/') as TreePath;
}

function compareUtf16(a: string, b: string): number {
  if (a < b) {
    return -1;
  }
  return a > b ? 1 : 0;
}
