/** Which components own a path, according to what package databases list. */
import type { TreePath } from './entry.js';
import type { PathLookup } from './lookup.js';

/** The owners of paths, in the order in which they were added. */
export class PathOwners {
  readonly #owners = new Map<TreePath, readonly string[]>();
  /** The lists of one component, which nearly all of its paths share. */
  readonly #lists = new Map<string, readonly string[]>();

  add(path: TreePath, component: string): void {
    const owners = this.#owners.get(path);
    if (owners === undefined) {
      this.#owners.set(path, this.#listOf(component));
    } else if (!owners.includes(component)) {
      this.#owners.set(path, [...owners, component]);
    }
  }

  /** Returns component ids in the order in which they were added. */
  of(path: TreePath): readonly string[] {
    return this.#owners.get(path) ?? [];
  }

  #listOf(component: string): readonly string[] {
    const list = this.#lists.get(component) ?? [component];
    this.#lists.set(component, list);
    return list;
  }
}

/**
 * Returns where a file that is installed as `path` lies in the tree, also through symlinked
 * directories and in the `/usr/etc` of a commit; undefined if nowhere, or if it is a directory.
 */
export function locateInstalled(files: PathLookup, path: string): TreePath | undefined {
  const moved = path.startsWith('/etc/') ? files.resolve(`/usr${path}`) : undefined;
  const entry = files.resolve(path) ?? moved;
  return entry === undefined || entry.type === 'directory' ? undefined : entry.path;
}
