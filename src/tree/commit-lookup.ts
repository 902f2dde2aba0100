/**
 * Looks up single paths of an ostree commit. Reads only the directories above them, not the whole
 * tree.
 */
import type { DirtreeDir } from '../ostree/objects/dirtree.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { commitName, fileEntry } from './commit.js';
import { type CommitMetadata, metadataInRepo } from './commit-walk.js';
import {
  type ExactLookup,
  type ReadableTree,
  readInTurn,
  regularFile,
  rememberingLookup,
  wholeFile,
} from './lookup.js';
import { baseName, parentPath } from './path.js';
import type { ByteStream, Directory, FileEntry, RegularFile, TreePath } from './tree.js';

/** A commit of which only a few files are read. */
export interface LookedUpCommit extends ReadableTree {
  readonly files: ExactLookup;
  /** The same as `Tree.read`. */
  read(path: TreePath): ByteStream;
}

/** Looks up paths of a commit in a repository. Throws the same errors as {@link openCommitTree}. */
export function lookupCommit(repo: OstreeRepo, checksum: string): LookedUpCommit {
  const name = commitName(checksum);
  const paths = new CommitPaths(metadataInRepo(repo, repo.loadCommit(checksum).parsed));
  const entryAt = (path: TreePath): FileEntry | undefined => {
    const directory = paths.directory(path);
    if (directory !== undefined) {
      return directory;
    }
    const object = paths.contentObject(path);
    return object === undefined ? undefined : fileEntry(path, object, repo.fileInfo(object));
  };
  const files = rememberingLookup(entryAt);
  const read = (file: RegularFile) => repo.readFile(file.checksum);
  return {
    name,
    files,
    read: (path) => read(regularFile(path, files.get(path), name)),
    bytes: (path) => wholeFile(path, files.resolve(path, true), name, read),
    readFiles: (wanted, start) => readInTurn(wanted, start, read),
  };
}

interface OpenDirectory {
  readonly dirmeta: string;
  /** Checksums of content objects by name. */
  readonly files: ReadonlyMap<string, string>;
  readonly dirs: ReadonlyMap<string, DirtreeDir>;
}

/** Finds paths of a commit, without following symlinks. Reads each directory once. */
class CommitPaths {
  readonly #metadata: CommitMetadata;
  readonly #directories: Map<TreePath, OpenDirectory | undefined>;

  constructor(metadata: CommitMetadata) {
    this.#metadata = metadata;
    this.#directories = new Map([['/', this.#read(metadata.root)]]);
  }

  /** Returns the directory at `path`; undefined if there is none. */
  directory(path: TreePath): Directory | undefined {
    const directory = this.#open(path);
    if (directory === undefined) {
      return undefined;
    }
    const { uid, gid, mode, xattrs } = this.#metadata.loadDirmeta(directory.dirmeta);
    return { type: 'directory', path, mode, uid, gid, xattrs };
  }

  /** Returns the checksum of the file or symlink at `path`; undefined if there is none. */
  contentObject(path: TreePath): string | undefined {
    return this.#open(parentPath(path))?.files.get(baseName(path));
  }

  #open(path: TreePath): OpenDirectory | undefined {
    if (this.#directories.has(path)) {
      return this.#directories.get(path);
    }
    const objects = this.#open(parentPath(path))?.dirs.get(baseName(path));
    const directory = objects && this.#read(objects);
    this.#directories.set(path, directory);
    return directory;
  }

  #read({ dirtree, dirmeta }: CommitMetadata['root']): OpenDirectory {
    const { files, dirs } = this.#metadata.loadDirtree(dirtree);
    return {
      dirmeta,
      files: new Map(files.map(({ name, checksum }) => [name, checksum])),
      dirs: new Map(dirs.map((dir) => [dir.name, dir])),
    };
  }
}
