/** Looks up single paths of a tree, through symlinks, and reads whole files. */
import { type ByteStream, type ContentSink, collect } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { FileEntry, RegularFile, TreePath } from './entry.js';
import { childPath, parentPath } from './path.js';

/** As many symlinks as Linux follows in one path resolution (path_resolution(7)). */
export const MAX_SYMLINKS = 40;
/**
 * Size of the largest file that {@link LookupTree.bytes} holds in memory: several times that of the
 * largest rpmdb seen (200 MB).
 */
const MAX_WHOLE_FILE = 1 << 30;

/** Finds single paths of a tree. */
export interface PathLookup {
  /**
   * Returns the entry that `path` names; undefined if there is none. Symlinks above the last
   * component are followed; the last component too, if `followLast` is true. Absolute targets begin
   * at the root of the tree.
   */
  resolve(path: string, followLast?: boolean): FileEntry | undefined;
}

/** Finds single paths of a tree, whether exactly or through symlinks. */
export interface ExactLookup extends PathLookup {
  /** Returns the entry at exactly this path; no symlink is followed. */
  get(path: TreePath): FileEntry | undefined;
}

/**
 * A tree of which only a few files are read. Every Tree is one, and so are trees that are not
 * walked.
 */
export interface LookupTree {
  /** The same as `Tree.name`. */
  readonly name: string;
  readonly files: PathLookup;
  /** The same as `Tree.bytes`. */
  bytes(path: TreePath): Promise<Uint8Array>;
}

/** Returns what takes the content of a file. */
export type StartFile = (file: RegularFile) => ContentSink;

/** A tree from which many files are read. */
export interface ReadableTree extends LookupTree {
  /**
   * Reads the content of `files`, which are entries of this tree, in the order that costs the
   * least. Throws `CORRUPT` if content does not match its checksum.
   */
  readFiles(files: readonly RegularFile[], start: StartFile): Promise<void>;
}

/** Reads one file after the other. */
export async function readInTurn(
  files: readonly RegularFile[],
  start: StartFile,
  read: (file: RegularFile) => ByteStream,
): Promise<void> {
  for (const file of files) {
    const sink = start(file);
    for await (const chunk of read(file)) {
      sink.write(chunk);
    }
    sink.finish();
  }
}

/**
 * Resolves a path as {@link PathLookup.resolve} does.
 * @param get returns the entry at exactly this path; never asked for a path below a symlink
 */
export function resolvePath(
  get: (path: TreePath) => FileEntry | undefined,
  path: string,
  followLast = false,
): FileEntry | undefined {
  /** Components that are still to be followed, the next one last. */
  const pending = reversedComponents(path);
  let at: TreePath = '/';
  let links = 0;

  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '.') {
      continue;
    }
    if (name === '..') {
      at = parentPath(at);
      continue;
    }

    const entry = get(childPath(at, name));
    if (entry === undefined) {
      return undefined;
    }
    const isFollowed = followLast || pending.length > 0;
    if (entry.type !== 'symlink' || !isFollowed) {
      at = entry.path;
      continue;
    }

    links++;
    if (links > MAX_SYMLINKS) {
      return undefined;
    }
    at = entry.target.startsWith('/') ? '/' : at;
    pending.push(...reversedComponents(entry.target));
  }
  return get(at);
}

function reversedComponents(path: string): string[] {
  return path
    .split('/')
    .filter((component) => component !== '')
    .reverse();
}

/**
 * Returns a lookup that calls `get` only once for each path, as a call may take a system call or
 * more.
 */
export function rememberingLookup(get: (path: TreePath) => FileEntry | undefined): ExactLookup {
  const known = new Map<TreePath, FileEntry | undefined>();
  const remembered = (path: TreePath) => {
    if (!known.has(path)) {
      known.set(path, get(path));
    }
    return known.get(path);
  };
  return {
    get: remembered,
    resolve: (path, followLast) => resolvePath(remembered, path, followLast),
  };
}

/**
 * Returns `entry` if it is a regular file; throws `NOT_FOUND` otherwise.
 * @param tree what the tree is called in the message
 */
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

/** Reads the whole file that `path` was resolved to; see {@link LookupTree.bytes}. */
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
