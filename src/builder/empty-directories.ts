/**
 * Directories without any entry. In a plain image each layer has the directories above its files;
 * the empty ones are above no file, so they are a component of their own.
 */
import { createHash } from 'node:crypto';
import type { OwnedComponent } from '../components/assign.js';
import type { FileMap } from '../tree/file-map.js';
import { parentPath } from '../tree/path.js';
import type { Directory } from '../tree/tree.js';

const COMPONENT = 'directories';

/** Returns the directories that have no entry, in byte order of their paths. */
export function emptyDirectories(files: FileMap): readonly Directory[] {
  const parents = new Set<string>();
  const directories: Directory[] = [];
  for (const entry of files) {
    if (entry.path !== '/') {
      parents.add(parentPath(entry.path));
    }
    if (entry.type === 'directory') {
      directories.push(entry);
    }
  }
  return directories.filter(({ path }) => !parents.has(path));
}

/** Returns the component of the given directories; undefined if there are none. */
export function emptyDirectoriesComponent(
  directories: readonly Directory[],
): OwnedComponent | undefined {
  if (directories.length === 0) {
    return undefined;
  }
  const hash = createHash('sha256');
  for (const { path, mode, uid, gid, xattrs } of directories) {
    hash.update(`${path}\0${mode} ${uid} ${gid}\n`);
    for (const [name, value] of xattrs) {
      hash.update(`${name}\0${value.length}\n`).update(value);
    }
  }
  return {
    id: COMPONENT,
    name: COMPONENT,
    source: COMPONENT,
    size: 0,
    changesPerYear: Infinity,
    version: hash.digest('hex'),
    exclusive: undefined,
    facts: {
      name: COMPONENT,
      source: COMPONENT,
      packages: [],
    },
    objects: new Map(),
  };
}
