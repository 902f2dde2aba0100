/** The tree of an ostree commit. */
import { OstrataError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { Commit } from '../ostree/objects/commit.js';
import type { Dirmeta } from '../ostree/objects/dirmeta.js';
import type { Dirtree } from '../ostree/objects/dirtree.js';
import type { FileInfo } from '../ostree/objects/file.js';
import type { Loaded, OstreeRepo } from '../ostree/repo.js';
import { FileInfoReader } from './file-infos.js';
import { FileMap, MAX_TREE_ENTRIES } from './file-map.js';
import { regularFile, wholeFile } from './lookup.js';
import type { FileEntry, Tree, TreePath } from './tree.js';

/** Directories deeper than this have paths longer than PATH_MAX. */
const MAX_TREE_DEPTH = 2048;

/** A directory of a commit with its two objects. */
export interface CommitDirectory {
  readonly path: TreePath;
  readonly dirtree: string;
  readonly dirmeta: string;
}

export interface CommitTree extends Tree {
  readonly repo: OstreeRepo;
  readonly commit: Loaded<Commit>;
  /**
   * All directories depth first, `/` first, each directory before what is in it, siblings in byte order of their
   * names: the order in which a commit layer holds them (not that of the paths: `/a/b` comes before `/a-b`).
   */
  readonly directories: readonly CommitDirectory[];
  /** What the repository knows of each content object, by checksum. */
  readonly objects: ReadonlyMap<string, FileInfo>;
}

/** Reads all metadata of the commit (not the content of its files) into memory. */
export function openCommitTree(repo: OstreeRepo, checksum: string, log?: Logger): CommitTree {
  const walk = new Walk(repo, checksum);
  const objects = new Map<string, FileInfo>();
  for (const object of walk.run()) {
    objects.set(object, repo.fileInfo(object));
  }
  return walk.tree(objects, log);
}

/** As {@link openCommitTree}, sooner where the commit is large: with a second thread. */
export async function openLargeCommitTree(
  repo: OstreeRepo,
  checksum: string,
  log?: Logger,
): Promise<CommitTree> {
  const walk = new Walk(repo, checksum);
  const infos = new FileInfoReader(repo);
  try {
    for (const object of walk.run()) {
      infos.add(object);
    }
    return walk.tree(await infos.finish(), log);
  } finally {
    await infos.close();
  }
}

/** One depth-first pass; objects named in several places are loaded once. */
class Walk {
  readonly #repo: OstreeRepo;
  readonly #commit: Loaded<Commit>;
  readonly #directories: CommitDirectory[] = [];
  readonly #dirtrees = new Map<string, Dirtree>();
  readonly #dirmetas = new Map<string, Dirmeta>();

  constructor(repo: OstreeRepo, checksum: string) {
    this.#repo = repo;
    this.#commit = repo.loadCommit(checksum);
  }

  /** Enters all directories; yields the checksum of each content object once. */
  *run(): Generator<string> {
    const { dirtree, dirmeta } = this.#commit.parsed;
    const pending = [{ directory: { path: '/', dirtree, dirmeta } as CommitDirectory, depth: 0 }];
    const seen = new Set<string>();
    let entries = 0;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { directory, depth } = next;
      if (depth > MAX_TREE_DEPTH) {
        throw new OstrataError(
          'LIMIT',
          `directories nested more than ${MAX_TREE_DEPTH} deep: ${directory.path}`,
        );
      }
      const { files, dirs } = this.#enter(directory);
      entries += 1 + files.length;
      if (entries > MAX_TREE_ENTRIES) {
        throw new OstrataError('LIMIT', `more than ${MAX_TREE_ENTRIES} files and directories`);
      }
      for (const { checksum } of files) {
        if (seen.has(checksum)) {
          continue;
        }
        seen.add(checksum);
        yield checksum;
      }
      for (const { name, dirtree, dirmeta } of dirs.toReversed()) {
        // The last pushed is taken first.
        pending.push({
          directory: { path: `${prefix(directory)}${name}`, dirtree, dirmeta },
          depth: depth + 1,
        });
      }
    }
  }

  #enter(directory: CommitDirectory): Dirtree {
    remembered(
      this.#dirmetas,
      directory.dirmeta,
      (checksum) => this.#repo.loadDirmeta(checksum).parsed,
    );
    this.#directories.push(directory);
    return remembered(
      this.#dirtrees,
      directory.dirtree,
      (checksum) => this.#repo.loadDirtree(checksum).parsed,
    );
  }

  /** @param objects what {@link run}, which has ended, gave */
  tree(objects: ReadonlyMap<string, FileInfo>, log: Logger = silentLogger): CommitTree {
    const repo = this.#repo;
    const files = new FileMap(this.#entries(objects));
    const name = `commit ${this.#commit.checksum}`;
    log.info(`${name}: ${files.size} entries, ${this.#directories.length} of them directories`);
    return {
      name,
      repo,
      commit: this.#commit,
      files,
      directories: this.#directories,
      objects,
      read: (path) => repo.readFile(regularFile(path, files.get(path), name).checksum),
      bytes: (path) =>
        wholeFile(path, files.resolve(path, true), name, (file) => repo.readFile(file.checksum)),
    };
  }

  *#entries(objects: ReadonlyMap<string, FileInfo>): Generator<FileEntry> {
    for (const directory of this.#directories) {
      const { uid, gid, mode, xattrs } = this.#dirmetas.get(directory.dirmeta) as Dirmeta;
      yield { type: 'directory', path: directory.path, mode, uid, gid, xattrs };
      for (const { name, checksum } of (this.#dirtrees.get(directory.dirtree) as Dirtree).files) {
        yield fileEntry(`${prefix(directory)}${name}`, checksum, objects.get(checksum) as FileInfo);
      }
    }
  }
}

function prefix({ path }: CommitDirectory): `/${string}` {
  return path === '/' ? '/' : `${path}/`;
}

/** The entry of content object `checksum` at `path`. */
export function fileEntry(path: TreePath, checksum: string, info: FileInfo): FileEntry {
  const { type, mode, uid, gid, xattrs, size, target } = info;
  if (type === 'file') {
    return { type, path, mode, uid, gid, xattrs, size, checksum };
  }
  return { type, path, mode, uid, gid, xattrs, size: 0, target: target as string, checksum };
}

function remembered<T>(known: Map<string, T>, key: string, load: (key: string) => T): T {
  let value = known.get(key);
  if (value === undefined) {
    value = load(key);
    known.set(key, value);
  }
  return value;
}
