/** The tree of an ostree commit. */
import { must } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { Commit } from '../ostree/objects/commit.js';
import type { FileInfo } from '../ostree/objects/file.js';
import type { Loaded, OstreeRepo } from '../ostree/repo.js';
import {
  type CommitDirectory,
  type CommitWalk,
  metadataInRepo,
  walkCommit,
} from './commit-walk.js';
import type { LocatedTree } from './content-location.js';
import { FileInfoReader } from './file-infos.js';
import { FileMap } from './file-map.js';
import { regularFile, wholeFile } from './lookup.js';
import { childPath } from './path.js';
import type { FileEntry, TreePath } from './tree.js';

/**
 * Returns an object of a directory as it is stored. Throws `NOT_FOUND` if it is missing, `CORRUPT`
 * if it is broken.
 */
export type LoadBytes = (checksum: string, kind: 'dirtree' | 'dirmeta') => Uint8Array;

export interface CommitTree extends LocatedTree {
  readonly commit: Loaded<Commit>;
  /** The detached metadata of the commit (signatures) as it is stored; undefined without any. */
  readonly detachedMetadata: Uint8Array | undefined;
  readonly loadBytes: LoadBytes;
  /** As {@link CommitWalk.directories}. */
  readonly directories: readonly CommitDirectory[];
  /** The metadata of each content object, by checksum. */
  readonly objects: ReadonlyMap<string, FileInfo>;
}

/**
 * Reads all metadata of a commit into memory; the content of its files is read later. Throws
 * `NOT_FOUND` if an object is missing, `CORRUPT` if one is broken, and `LIMIT` for the same reasons
 * as {@link walkCommit}.
 */
export function openCommitTree(repo: OstreeRepo, checksum: string, log?: Logger): CommitTree {
  const commit = repo.loadCommit(checksum);
  const walk = walkCommit(metadataInRepo(repo, commit.parsed));
  const objects = new Map<string, FileInfo>();
  for (const object of walk.checksums) {
    objects.set(object, repo.fileInfo(object));
  }
  return buildTree(repo, commit, walk, objects, log);
}

/** Does the same as {@link openCommitTree}, but reads a large commit with two threads. */
export async function openLargeCommitTree(
  repo: OstreeRepo,
  checksum: string,
  log?: Logger,
): Promise<CommitTree> {
  const commit = repo.loadCommit(checksum);
  const infos = new FileInfoReader(repo);
  try {
    const walk = walkCommit(metadataInRepo(repo, commit.parsed), (object) => infos.add(object));
    return buildTree(repo, commit, walk, await infos.finish(), log);
  } finally {
    await infos.close();
  }
}

function buildTree(
  repo: OstreeRepo,
  commit: Loaded<Commit>,
  walk: CommitWalk,
  objects: ReadonlyMap<string, FileInfo>,
  log: Logger = silentLogger,
): CommitTree {
  const { directories } = walk;
  const files = new FileMap(commitEntries(walk, objects));
  const name = commitName(commit.checksum);
  log.info(`${name}: ${files.size} entries, ${directories.length} of them directories`);
  return {
    name,
    commit,
    detachedMetadata: repo.loadCommitMeta(commit.checksum)?.bytes,
    loadBytes: (object, kind) => repo.loadBytes(object, kind),
    content: { kind: 'repo', path: repo.path },
    files,
    directories,
    objects,
    read: (path) => repo.readFile(regularFile(path, files.get(path), name).checksum),
    bytes: (path) =>
      wholeFile(path, files.resolve(path, true), name, (file) => repo.readFile(file.checksum)),
  };
}

/** Yields the entries of a commit. */
export function* commitEntries(
  { directories, dirtrees, dirmetas }: CommitWalk,
  objects: ReadonlyMap<string, FileInfo>,
): Generator<FileEntry> {
  for (const { path, dirtree, dirmeta } of directories) {
    const { uid, gid, mode, xattrs } = must(dirmetas.get(dirmeta), 'dirmeta of a walk');
    yield { type: 'directory', path, mode, uid, gid, xattrs };

    for (const { name, checksum } of must(dirtrees.get(dirtree), 'dirtree of a walk').files) {
      const info = must(objects.get(checksum), 'metadata of a content object');
      yield fileEntry(childPath(path, name), checksum, info);
    }
  }
}

/** Returns what the tree of a commit is called in messages. */
export function commitName(checksum: string): string {
  return `commit ${checksum}`;
}

/** Returns the entry at `path` whose content object is `checksum`. */
export function fileEntry(path: TreePath, checksum: string, info: FileInfo): FileEntry {
  const { mode, uid, gid, xattrs, size, target } = info;
  if (target !== undefined) {
    return { type: 'symlink', path, mode, uid, gid, xattrs, size: 0, target, checksum };
  }
  return { type: 'file', path, mode, uid, gid, xattrs, size, checksum };
}
