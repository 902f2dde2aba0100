/** Walks all directories of a commit, whether its metadata comes from a repository or an image. */
import { OstrataError } from '../errors.js';
import type { Commit } from '../ostree/objects/commit.js';
import type { Dirmeta } from '../ostree/objects/dirmeta.js';
import type { Dirtree } from '../ostree/objects/dirtree.js';
import type { OstreeRepo } from '../ostree/repo.js';
import type { TreePath } from './entry.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import { childPath } from './path.js';

/** Limit for the depth of directories. Deeper ones have paths longer than PATH_MAX (4096). */
const MAX_TREE_DEPTH = 2048;

/** The metadata objects of a commit. */
export interface CommitMetadata {
  /** Checksums of the root directory's objects. */
  readonly root: { readonly dirtree: string; readonly dirmeta: string };
  /** Throws if the object is missing or broken; so does {@link loadDirmeta}. */
  loadDirtree(checksum: string): Dirtree;
  loadDirmeta(checksum: string): Dirmeta;
}

/** The metadata objects of a commit that lies in a repository. */
export function metadataInRepo(repo: OstreeRepo, { dirtree, dirmeta }: Commit): CommitMetadata {
  return {
    root: { dirtree, dirmeta },
    loadDirtree: (checksum) => repo.loadDirtree(checksum).parsed,
    loadDirmeta: (checksum) => repo.loadDirmeta(checksum).parsed,
  };
}

/** A directory of a commit, with the checksums of its two objects. */
export interface CommitDirectory {
  readonly path: TreePath;
  readonly dirtree: string;
  readonly dirmeta: string;
}

/** What a walk has found. */
export interface CommitWalk {
  /**
   * All directories depth first, `/` first, each before its own content, siblings in byte order of
   * their names. A commit layer holds them in this order. It differs from the byte order of whole
   * paths: here `/a/b` comes before `/a-b`.
   */
  readonly directories: readonly CommitDirectory[];
  /** Objects of the directories by checksum; many directories can share one. */
  readonly dirtrees: ReadonlyMap<string, Dirtree>;
  readonly dirmetas: ReadonlyMap<string, Dirmeta>;
  /** Checksums of all content objects. */
  readonly checksums: ReadonlySet<string>;
}

/**
 * Walks all directories of a commit, reading each object once. Throws `LIMIT` if they are nested
 * too deep or expand to too many files.
 * @param onContentObject called once with the checksum of each content object, during the walk
 */
export function walkCommit(
  metadata: CommitMetadata,
  onContentObject: (checksum: string) => void = () => {},
): CommitWalk {
  const directories: CommitDirectory[] = [];
  const dirtrees = new Map<string, Dirtree>();
  const dirmetas = new Map<string, Dirmeta>();
  const checksums = new Set<string>();
  let entries = 0;

  const root: CommitDirectory = { path: '/', ...metadata.root };
  const pending = [{ directory: root, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { directory, depth } = next;
    checkDepth(directory, depth);
    remember(dirmetas, directory.dirmeta, metadata.loadDirmeta);
    const { files, dirs } = remember(dirtrees, directory.dirtree, metadata.loadDirtree);
    directories.push(directory);

    entries += 1 + files.length;
    checkEntries(entries);
    for (const { checksum } of files) {
      if (!checksums.has(checksum)) {
        checksums.add(checksum);
        onContentObject(checksum);
      }
    }

    // What is pushed last is visited first.
    for (const { name, dirtree, dirmeta } of dirs.toReversed()) {
      const path = childPath(directory.path, name);
      pending.push({ directory: { path, dirtree, dirmeta }, depth: depth + 1 });
    }
  }
  return { directories, dirtrees, dirmetas, checksums };
}

function checkDepth({ path }: CommitDirectory, depth: number): void {
  if (depth > MAX_TREE_DEPTH) {
    throw new OstrataError('LIMIT', `directories nested more than ${MAX_TREE_DEPTH} deep: ${path}`);
  }
}

function checkEntries(count: number): void {
  if (count > MAX_TREE_ENTRIES) {
    throw new OstrataError('LIMIT', `more than ${MAX_TREE_ENTRIES} files and directories`);
  }
}

function remember<T>(known: Map<string, T>, checksum: string, load: (checksum: string) => T): T {
  let value = known.get(checksum);
  if (value === undefined) {
    value = load(checksum);
    known.set(checksum, value);
  }
  return value;
}
