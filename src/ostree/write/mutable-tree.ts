/** A tree of a commit that is changed: directories are read when they are entered, and only changed ones written. */
import { compareUtf8 } from '../../bytes/text.js';
import { encodeDirtree } from '../objects/dirtree.js';
import { sha256Hex } from '../objects/object-name.js';
import type { EncodedObject } from '../objects/object-set.js';
import type { OstreeRepo } from '../repo.js';

export class MutableTree {
  /** Checksum of the directory's dirmeta object. */
  readonly dirmeta: string;
  readonly repo: OstreeRepo;
  /** The dirtree that this is while nothing below was changed. */
  #stored: string | undefined;
  #loaded:
    | { readonly files: Map<string, string>; readonly dirs: Map<string, MutableTree> }
    | undefined;

  /** @param stored checksum of a dirtree in `repo`; undefined: an empty directory */
  constructor(repo: OstreeRepo, dirmeta: string, stored?: string) {
    this.repo = repo;
    this.dirmeta = dirmeta;
    this.#stored = stored;
  }

  /** Content objects by name. */
  get files(): ReadonlyMap<string, string> {
    return this.#load().files;
  }
  get dirs(): ReadonlyMap<string, MutableTree> {
    return this.#load().dirs;
  }

  /** Takes the place of whatever has that name. */
  setFile(name: string, checksum: string): void {
    const { files, dirs } = this.#change();
    dirs.delete(name);
    files.set(name, checksum);
  }

  setDir(name: string, tree: MutableTree): void {
    const { files, dirs } = this.#change();
    files.delete(name);
    dirs.set(name, tree);
  }

  remove(name: string): void {
    const { files, dirs } = this.#change();
    files.delete(name);
    dirs.delete(name);
  }

  clear(): void {
    const { files, dirs } = this.#change();
    files.clear();
    dirs.clear();
  }

  /** The directory `name`, which the caller will change. */
  enter(name: string): MutableTree | undefined {
    const dir = this.dirs.get(name);
    if (dir !== undefined) {
      this.#change();
    }
    return dir;
  }

  /** The content object at `path` (no leading slash, no symlinks followed); undefined where no file is. */
  lookup(path: string): string | undefined {
    const [first = '', ...rest] = path.split('/');
    return rest.length === 0 ? this.files.get(first) : this.dirs.get(first)?.lookup(rest.join('/'));
  }

  /** The checksum of the dirtree; `emit` gets the changed ones, the innermost first. */
  write(emit: (object: EncodedObject) => void): string {
    if (this.#stored !== undefined) {
      return this.#stored;
    }
    const { files, dirs } = this.#load();
    const byName = (a: { readonly name: string }, b: { readonly name: string }) =>
      compareUtf8(a.name, b.name);
    const bytes = encodeDirtree({
      files: [...files].map(([name, checksum]) => ({ name, checksum })).sort(byName),
      dirs: [...dirs]
        .map(([name, dir]) => ({ name, dirtree: dir.write(emit), dirmeta: dir.dirmeta }))
        .sort(byName),
    });
    const checksum = sha256Hex(bytes);
    emit({ kind: 'dirtree', checksum, bytes });
    this.#stored = checksum;
    return checksum;
  }

  #change() {
    const loaded = this.#load();
    this.#stored = undefined;
    return loaded;
  }

  #load() {
    if (this.#loaded === undefined) {
      const { files, dirs } =
        this.#stored === undefined ? EMPTY : this.repo.loadDirtree(this.#stored).parsed;
      this.#loaded = {
        files: new Map(files.map(({ name, checksum }) => [name, checksum])),
        dirs: new Map(
          dirs.map(({ name, dirtree, dirmeta }) => [
            name,
            new MutableTree(this.repo, dirmeta, dirtree),
          ]),
        ),
      };
    }
    return this.#loaded;
  }
}

const EMPTY = { files: [], dirs: [] };
