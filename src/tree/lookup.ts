import { type ByteStream, collect } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { FileEntry, RegularFile, TreePath } from './entry.js';

/** As many symlinks as Linux follows in one path resolution (path_resolution(7)). */
export const MAX_SYMLINKS = 40;
/** The largest file that {@link LookupTree.bytes} holds in memory: several times the largest rpmdb seen (200 MB). */
export const MAX_WHOLE_FILE = 1 << 30;

/** Finds single paths of a tree; a FileMap is one that holds them all. */
export interface PathLookup {
  /**
   * The entry that `path` names after symlinks in its directories are followed (and the last component too, with
   * `followLast`); undefined where nothing is. Absolute targets are taken from the root of the tree.
   */
  resolve(path: string, followLast?: boolean): FileEntry | undefined;
}

/** What it takes to read a few files of a tree: every Tree is one, and so is a folder or commit that is not walked. */
export interface LookupTree {
  /** As `Tree.name`. */
  readonly name: string;
  readonly files: PathLookup;
  /** As `Tree.bytes`. */
  bytes(path: TreePath): Promise<Uint8Array>;
}

/** {@link PathLookup.resolve} over `get`, which answers for canonical paths and follows nothing. */
export function resolvePath(
  get: (path: TreePath) => FileEntry | undefined,
  path: string,
  followLast = false,
): FileEntry | undefined {
  const pending = path.split('/').reverse();
  let at: TreePath | '' = '';
  for (let links = 0; pending.length > 0; ) {
    const name = pending.pop() as string;
    if (name === '' || name === '.') {
      continue;
    }
    if (name === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/'))) as TreePath | '';
      continue;
    }
    const entry = get(`${at}/${name}`);
    if (entry === undefined) {
      return undefined;
    }
    const isLast = pending.every((rest) => rest === '');
    if (entry.type !== 'symlink' || (isLast && !followLast)) {
      at = entry.path;
      continue;
    }
    if (++links > MAX_SYMLINKS) {
      return undefined;
    }
    if (entry.target.startsWith('/')) {
      at = '';
    }
    pending.push(...entry.target.split('/').reverse());
  }
  return get(at === '' ? '/' : at);
}

/** {@link resolvePath} that asks for every path once: for trees where asking costs a system call or more. */
export function rememberingLookup(get: (path: TreePath) => FileEntry | undefined): PathLookup {
  const known = new Map<TreePath, FileEntry | undefined>();
  const remembered = (path: TreePath) => {
    if (!known.has(path)) {
      known.set(path, get(path));
    }
    return known.get(path);
  };
  return { resolve: (path, followLast) => resolvePath(remembered, path, followLast) };
}

/** `entry` if it is a regular file, else `NOT_FOUND`. @param tree what the tree is called */
export function regularFile(
  path: TreePath,
  entry: FileEntry | undefined,
  tree: string,
): RegularFile {
  if (entry?.type !== 'file') {
    throw new OstrataError('NOT_FOUND', `no regular file ${path} in ${tree}`);
  }
  return entry;
}

/** {@link LookupTree.bytes} of what `path` resolved to. */
export async function wholeFile(
  path: TreePath,
  resolved: FileEntry | undefined,
  tree: string,
  read: (file: RegularFile) => ByteStream,
): Promise<Uint8Array> {
  const file = regularFile(path, resolved, tree);
  if (file.size > MAX_WHOLE_FILE) {
    throw new OstrataError(
      'LIMIT',
      `${path} has ${file.size} bytes, at most ${MAX_WHOLE_FILE} are held in memory`,
    );
  }
  return collect(read(file), file.size);
}
