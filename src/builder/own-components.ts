/**
 * What the layers of a plain image hold besides files and the directories above them: directories
 * that are above no file of a layer, and whiteouts of files of the base image. Each is a component
 * of its own, which no content source is asked about.
 */
import { createHash, type Hash } from 'node:crypto';
import type { OwnedComponent } from '../components/assign.js';
import { parentPath } from '../tree/path.js';
import type { Directory, FileEntry, TreePath } from '../tree/tree.js';

export const DIRECTORIES_COMPONENT = 'directories';
export const WHITEOUTS_COMPONENT = 'whiteouts';

/**
 * Returns the directories among `entries` that are above no other entry and above none of
 * `removed`, in the order of `entries`.
 */
export function emptyDirectories(
  entries: readonly FileEntry[],
  removed: readonly TreePath[] = [],
): readonly Directory[] {
  const parents = new Set<TreePath>();
  const addParents = (path: TreePath) => {
    for (let at = parentPath(path); !parents.has(at); at = parentPath(at)) {
      parents.add(at);
    }
  };
  const directories: Directory[] = [];
  for (const entry of entries) {
    if (entry.path !== '/') {
      addParents(entry.path);
    }
    if (entry.type === 'directory') {
      directories.push(entry);
    }
  }
  removed.forEach(addParents);
  return directories.filter(({ path }) => !parents.has(path));
}

/** Returns the component of the given directories; none if there are no directories. */
export function directoriesComponent(directories: readonly Directory[]): readonly OwnedComponent[] {
  return ownComponent(DIRECTORIES_COMPONENT, directories, (hash, directory) => {
    const { path, mode, uid, gid, xattrs } = directory;
    hash.update(`${path}\0${mode} ${uid} ${gid}\n`);
    for (const [name, value] of xattrs) {
      hash.update(`${name}\0${value.length}\n`).update(value);
    }
  });
}

/** Returns the component of the whiteouts that remove `paths`; none if there are no paths. */
export function whiteoutsComponent(paths: readonly TreePath[]): readonly OwnedComponent[] {
  return ownComponent(WHITEOUTS_COMPONENT, paths, (hash, path) => hash.update(`${path}\0`));
}

/** @param addTo adds to the version of the component what one of `items` is */
function ownComponent<T>(
  id: string,
  items: readonly T[],
  addTo: (hash: Hash, item: T) => void,
): readonly OwnedComponent[] {
  if (items.length === 0) {
    return [];
  }
  const hash = createHash('sha256');
  for (const item of items) {
    addTo(hash, item);
  }
  return [
    {
      id,
      name: id,
      source: id,
      size: 0,
      changesPerYear: Infinity,
      version: hash.digest('hex'),
      exclusive: undefined,
      facts: { name: id, source: id, packages: [] },
      objects: new Map(),
    },
  ];
}
