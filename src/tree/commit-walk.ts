/** Walks all directories of a commit, whether its metadata comes from a repository or an image. */
import { must, OstrataError } from '../errors.js';
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
  const { dirtrees, checksums } = loadDirtrees(metadata, onContentObject);
  return { ...listDirectories(metadata, dirtrees), dirtrees, checksums };
}

/**
 * Loads each dirtree once, depth first, and counts what it expands to. Thirty dirtrees that each
 * name the next one a hundred times stand for more directories than any walk could visit: they are
 * refused before their paths are made.
 */
function loadDirtrees(
  { root, loadDirtree }: CommitMetadata,
  onContentObject: (checksum: string) => void,
): Pick<CommitWalk, 'dirtrees' | 'checksums'> {
  const dirtrees = new Map<string, Dirtree>();
  const checksums = new Set<string>();
  const entryCounts = new Map<string, number>();

  /** Returns how many files and directories there are at and below `path`. */
  const load = (dirtree: string, path: TreePath, depth: number): number => {
    const known = entryCounts.get(dirtree);
    if (known !== undefined) {
      return known;
    }
    checkDepth(path, depth);
    const loaded = loadDirtree(dirtree);
    dirtrees.set(dirtree, loaded);
    const { files, dirs } = loaded;
    for (const { checksum } of files) {
      if (!checksums.has(checksum)) {
        checksums.add(checksum);
        onContentObject(checksum);
      }
    }

    let entries = 1 + files.length;
    checkEntries(entries);
    for (const dir of dirs) {
      entries += load(dir.dirtree, childPath(path, dir.name), depth + 1);
      checkEntries(entries);
    }
    entryCounts.set(dirtree, entries);
    return entries;
  };
  load(root.dirtree, '/', 0);
  return { dirtrees, checksums };
}

/** Lists the directories at all their paths, once it is known that there are not too many. */
function listDirectories(
  metadata: CommitMetadata,
  dirtrees: ReadonlyMap<string, Dirtree>,
): Pick<CommitWalk, 'directories' | 'dirmetas'> {
  const directories: CommitDirectory[] = [];
  const dirmetas = new Map<string, Dirmeta>();

  const root: CommitDirectory = { path: '/', ...metadata.root };
  const pending = [{ directory: root, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { directory, depth } = next;
    checkDepth(directory.path, depth);
    remember(dirmetas, directory.dirmeta, metadata.loadDirmeta);
    directories.push(directory);

    // What is pushed last is visited first.
    const { dirs } = must(dirtrees.get(directory.dirtree), 'dirtree of a walk');
    for (const { name, dirtree, dirmeta } of dirs.toReversed()) {
      const path = childPath(directory.path, name);
      pending.push({ directory: { path, dirtree, dirmeta }, depth: depth + 1 });
    }
  }
  return { directories, dirmetas };
}

function checkDepth(path: TreePath, depth: number): void {
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
