/**
 * The tree of a commit while it is changed. A directory is read when it is first looked into, and
 * only changed directories are written again.
 */
import { compareUtf8 } from '../../bytes/text.js';
import { must } from '../../errors.js';
import { encodeDirtree } from '../objects/dirtree.js';
import { sha256Hex } from '../objects/object-name.js';
import type { EncodedObject } from '../objects/object-set.js';
import type { OstreeRepo } from '../repo.js';

interface Directory {
  /** Checksums of content objects by name. */
  readonly files: Map<string, string>;
  readonly dirs: Map<string, MutableTree>;
}

export class MutableTree {
  readonly repo: OstreeRepo;
  #dirmeta: string;
  /** Checksum of the dirtree object; undefined once something below the directory has changed. */
  #stored: string | undefined;
  #loaded: Directory | undefined;

  /** @param stored checksum of a dirtree in `repo`; undefined for an empty directory */
  constructor(repo: OstreeRepo, dirmeta: string, stored?: string) {
    this.repo = repo;
    this.#dirmeta = dirmeta;
    this.#stored = stored;
  }

  /** Checksum of the directory's dirmeta object. */
  get dirmeta(): string {
    return this.#dirmeta;
  }

  /** Checksums of content objects by name. */
  get files(): ReadonlyMap<string, string> {
    return this.#load().files;
  }

  /** Subdirectories by name. To change one, get it from {@link enter}. */
  get dirs(): ReadonlyMap<string, MutableTree> {
    return this.#load().dirs;
  }

  /** Adds a file; replaces a file or directory of that name. */
  setFile(name: string, checksum: string): void {
    const { files, dirs } = this.#change();
    dirs.delete(name);
    files.set(name, checksum);
  }

  /** Adds a directory; replaces a file or directory of that name. */
  setDir(name: string, tree: MutableTree): void {
    const { files, dirs } = this.#change();
    files.delete(name);
    dirs.set(name, tree);
  }

  /** Removes the file or directory `name`, if there is one. */
  remove(name: string): void {
    const { files, dirs } = this.#change();
    files.delete(name);
    dirs.delete(name);
  }

  /** Makes the directory an empty one with the owner, mode and xattrs of `dirmeta`. */
  reset(dirmeta: string): void {
    const { files, dirs } = this.#change();
    files.clear();
    dirs.clear();
    this.#dirmeta = dirmeta;
  }

  /** Returns the directory `name` for a caller that will change it. */
  enter(name: string): MutableTree | undefined {
    const dir = this.dirs.get(name);
    if (dir !== undefined) {
      this.#change();
    }
    return dir;
  }

  /**
   * Returns the checksum of the content object at `path`, or undefined if no file is there.
   * @param path relative, without a leading slash; symlinks are not followed
   */
  lookup(path: string): string | undefined {
    const slash = path.indexOf('/');
    if (slash < 0) {
      return this.files.get(path);
    }
    return this.dirs.get(path.slice(0, slash))?.lookup(path.slice(slash + 1));
  }

  /** Returns the checksum of the dirtree. `emit` is given the changed dirtrees, innermost first. */
  write(emit: (object: EncodedObject) => void): string {
    // A loop instead of recursion, as a tree can be deeper than calls can be nested. In this list
    // each directory comes before its subdirectories.
    const changed: MutableTree[] = this.#stored === undefined ? [this] : [];
    for (const tree of changed) {
      for (const dir of tree.#load().dirs.values()) {
        if (dir.#stored === undefined) {
          changed.push(dir);
        }
      }
    }
    for (const tree of changed.reverse()) {
      tree.#stored = tree.#writeDirectory(emit);
    }
    return must(this.#stored, 'checksum of a directory that was written');
  }

  /** Writes the dirtree of this directory. Its subdirectories have been written. */
  #writeDirectory(emit: (object: EncodedObject) => void): string {
    const { files, dirs } = this.#load();
    const fileEntries = [...files].map(([name, checksum]) => ({ name, checksum }));
    const dirEntries = [...dirs].map(([name, dir]) => ({
      name,
      dirtree: must(dir.#stored, 'checksum of a subdirectory'),
      dirmeta: dir.dirmeta,
    }));
    const bytes = encodeDirtree({
      files: fileEntries.sort(byName),
      dirs: dirEntries.sort(byName),
    });

    const checksum = sha256Hex(bytes);
    emit({ kind: 'dirtree', checksum, bytes });
    return checksum;
  }

  #change(): Directory {
    const loaded = this.#load();
    this.#stored = undefined;
    return loaded;
  }

  #load(): Directory {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  #read(): Directory {
    const files = new Map<string, string>();
    const dirs = new Map<string, MutableTree>();
    if (this.#stored !== undefined) {
      const dirtree = this.repo.loadDirtree(this.#stored).parsed;
      for (const { name, checksum } of dirtree.files) {
        files.set(name, checksum);
      }
      for (const dir of dirtree.dirs) {
        dirs.set(dir.name, new MutableTree(this.repo, dir.dirmeta, dir.dirtree));
      }
    }
    return { files, dirs };
  }
}

interface Named {
  readonly name: string;
}

function byName(a: Named, b: Named): number {
  return compareUtf8(a.name, b.name);
}
