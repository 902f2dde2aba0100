/** Single files of an ostree commit: reads the directories on the way to them, not the whole tree. */
import type { Dirtree } from '../ostree/objects/dirtree.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { fileEntry } from './commit.js';
import { parentPath } from './file-map.js';
import { type LookupTree, rememberingLookup, wholeFile } from './lookup.js';
import type { FileEntry, TreePath } from './tree.js';

interface OpenDirectory {
  readonly dirmeta: string;
  readonly files: ReadonlyMap<string, Dirtree['files'][number]>;
  readonly dirs: ReadonlyMap<string, Dirtree['dirs'][number]>;
}

/** Errors as those of openCommitTree. */
export function lookupCommit(repo: OstreeRepo, checksum: string): LookupTree {
  const name = `commit ${checksum}`;
  const files = rememberingLookup(new CommitLookup(repo, checksum).get);
  return {
    name,
    files,
    bytes: (path) =>
      wholeFile(path, files.resolve(path, true), name, (file) => repo.readFile(file.checksum)),
  };
}

class CommitLookup {
  readonly #repo: OstreeRepo;
  readonly #directories: Map<TreePath, OpenDirectory | undefined>;

  constructor(repo: OstreeRepo, checksum: string) {
    this.#repo = repo;
    const { dirtree, dirmeta } = repo.loadCommit(checksum).parsed;
    this.#directories = new Map([['/', this.#open({ dirtree, dirmeta })]]);
  }

  readonly get = (path: TreePath): FileEntry | undefined => {
    const directory = this.#directory(path);
    if (directory !== undefined) {
      const { uid, gid, mode, xattrs } = this.#repo.loadDirmeta(directory.dirmeta).parsed;
      return { type: 'directory', path, mode, uid, gid, xattrs };
    }
    const file = this.#directory(parentPath(path))?.files.get(baseName(path));
    return file && fileEntry(path, file.checksum, this.#repo.fileInfo(file.checksum));
  };

  /** The directory at `path`, undefined where there is none; the root is known from the start. */
  #directory(path: TreePath): OpenDirectory | undefined {
    if (this.#directories.has(path)) {
      return this.#directories.get(path);
    }
    const entry = this.#directory(parentPath(path))?.dirs.get(baseName(path));
    const opened = entry && this.#open(entry);
    this.#directories.set(path, opened);
    return opened;
  }

  #open({
    dirtree,
    dirmeta,
  }: {
    readonly dirtree: string;
    readonly dirmeta: string;
  }): OpenDirectory {
    const { files, dirs } = this.#repo.loadDirtree(dirtree).parsed;
    const byName = <T extends { readonly name: string }>(entries: readonly T[]) =>
      new Map(entries.map((entry) => [entry.name, entry]));
    return { dirmeta, files: byName(files), dirs: byName(dirs) };
  }
}

const baseName = (path: TreePath) => path.slice(path.lastIndexOf('/') + 1);
