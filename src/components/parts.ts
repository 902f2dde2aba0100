/**
 * Parts of components: a large package whose directories change at different times is placed by
 * directory. This file decides which directories become parts.
 */
import { compareUtf8 } from '../bytes/text.js';

/** Between the id of a component and the directory of its part: `linux-firmware.noarch#usr/lib`. */
const SEPARATOR = '#';
/** Share of a component's bytes below which a directory is no part: layers are too few for dust. */
const MIN_SHARE = 0.005;
/** Share of a component's bytes above which the directories below a directory become parts, too. */
const MAX_SHARE = 0.25;
/** Never split: the modules of a kernel are built together, and their paths name its version. */
const KERNEL_MODULES = /^((?:usr\/)?lib\/modules\/).+/;

/** What stays together in any case: a file, or a directory of which no more is known. */
export interface Piece {
  /** Path of the directory without a leading slash; empty for the root. */
  readonly directory: string;
  /** Bytes. */
  readonly size: number;
}

/** A component of which pieces can be placed apart. */
export interface Divisible<Part> {
  pieces(): readonly Piece[];
  /** Returns the part that holds the pieces with these indices. */
  part(id: string, pieces: readonly number[]): Part;
}

/** @param directory empty for the rest, which no directory of another part holds */
export function partId(wholeId: string, directory: string): string {
  return wholeId + SEPARATOR + directory;
}

/** Returns directories by each id of a component that `ids` may be parts of. */
export function directoriesByWhole(ids: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>();
  for (const id of ids) {
    for (let at = id.indexOf(SEPARATOR); at >= 0; at = id.indexOf(SEPARATOR, at + 1)) {
      const wholeId = id.slice(0, at);
      const directories = result.get(wholeId) ?? [];
      result.set(wholeId, directories);
      directories.push(id.slice(at + SEPARATOR.length));
    }
  }
  return result;
}

/** Returns the directory that holds all of `paths`; all directories of kernels count as one. */
export function commonDirectory(paths: readonly string[]): string {
  let common: readonly string[] | undefined;
  for (const path of paths) {
    const names = path.split('/').filter((name) => name !== '');
    const directory = names.slice(0, -1);
    const known: readonly string[] = common ?? directory;
    const end = known.findIndex((name, i) => name !== directory[i]);
    common = end < 0 ? known : known.slice(0, end);
  }
  const directory = (common ?? []).join('/');
  return directory.replace(KERNEL_MODULES, '$1*');
}

/**
 * Returns the indices of `pieces` by the directory that holds them, out of `directories`: the
 * deepest one, or the empty text for the rest.
 */
export function piecesByDirectory(
  pieces: readonly Piece[],
  directories: ReadonlySet<string>,
): ReadonlyMap<string, readonly number[]> {
  const result = new Map<string, number[]>();
  for (const [i, { directory }] of pieces.entries()) {
    const holder = holderOf(directory, directories);
    const indices = result.get(holder) ?? [];
    result.set(holder, indices);
    indices.push(i);
  }
  return result;
}

/** Returns the deepest of `directories` that `directory` is or lies in; empty if none is. */
export function holderOf(directory: string, directories: ReadonlySet<string>): string {
  let holder = directory;
  while (holder !== '' && !directories.has(holder)) {
    holder = parentOf(holder);
  }
  return holder;
}

function parentOf(directory: string): string {
  return directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
}

/** A directory with the bytes of everything below it. */
interface Folder {
  readonly path: string;
  readonly folders: Map<string, Folder>;
  size: number;
}

function emptyFolder(path: string): Folder {
  return { path, folders: new Map(), size: 0 };
}

function folderOf(pieces: readonly Piece[]): Folder {
  const root = emptyFolder('');
  for (const { directory, size } of pieces) {
    let folder = root;
    folder.size += size;
    for (const name of directory.split('/').filter((each) => each !== '')) {
      const path = folder.path === '' ? name : `${folder.path}/${name}`;
      const child = folder.folders.get(name) ?? emptyFolder(path);
      folder.folders.set(name, child);
      folder = child;
      folder.size += size;
    }
  }
  return root;
}

/** A directory that should become a part, with the bytes that are in no part below it. */
interface Share {
  readonly directory: string;
  readonly size: number;
}

/**
 * Returns the directories that should become parts, the largest part first. Each part has at least
 * {@link MIN_SHARE} of the bytes. A directory with more than {@link MAX_SHARE} is looked into, and
 * what remains of it is a part if it is still large enough. Returns none if all bytes would be in
 * one part.
 */
export function dividingDirectories(pieces: readonly Piece[]): readonly string[] {
  const root = folderOf(pieces);
  const minSize = MIN_SHARE * root.size;
  const shares = sharesBelow(root, minSize, MAX_SHARE * root.size);
  const rest = root.size - totalSize(shares);
  const partCount = shares.length + (rest >= minSize ? 1 : 0);
  if (partCount < 2) {
    return [];
  }
  const bySize = shares.toSorted(
    (a, b) => b.size - a.size || compareUtf8(a.directory, b.directory),
  );
  return bySize.map(({ directory }) => directory);
}

function sharesBelow(folder: Folder, minSize: number, maxSize: number): readonly Share[] {
  const shares: Share[] = [];
  for (const child of folder.folders.values()) {
    if (child.size < minSize || child.size === 0) {
      continue;
    }
    const below = child.size > maxSize ? sharesBelow(child, minSize, maxSize) : [];
    const size = child.size - totalSize(below);
    shares.push(...below);
    if (size >= minSize) {
      shares.push({ directory: child.path, size });
    }
  }
  return shares;
}

function totalSize(shares: readonly Share[]): number {
  return shares.reduce((sum, { size }) => sum + size, 0);
}
