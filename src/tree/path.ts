/** Functions for the paths of a tree. */
import type { TreePath } from './entry.js';

/** Returns the directory that holds `path`; `/` for `/` itself. */
export function parentPath(path: TreePath): TreePath {
  const end = path.lastIndexOf('/');
  return end === 0 ? '/' : (path.slice(0, end) as TreePath);
}

/** Returns the path of `name` in a directory. */
export function childPath(directory: TreePath, name: string): TreePath {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** Returns the last component of `path`; empty for `/`. */
export function baseName(path: TreePath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Returns where a path of a commit is in an image of the commit and in a running system: ostree
 * keeps `/etc` as `/usr/etc`. All other paths stay the same. So the results are the same for a
 * commit, its image and its root directory, and a layout that was made for one of them fits the
 * others.
 */
export function deployedPath(path: string): string {
  return path === '/usr/etc' || path.startsWith('/usr/etc/') ? path.slice('/usr'.length) : path;
}

/** Returns where a commit has what its tree has at `path`; the inverse of {@link deployedPath}. */
export function committedPath(path: TreePath): TreePath {
  return path === '/etc' || path.startsWith('/etc/') ? `/usr${path}` : path;
}
