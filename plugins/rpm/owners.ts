import type { FileMap, TreePath } from '../../src/plugin.js';
import type { RpmFile } from './rpmdb/index.js';
import { movedPaths } from './rpmdb/moved.js';

/** Which components own a path, by the package database: through symlinked directories and to where ostree moves things. */
export class FileOwners {
  readonly #files: FileMap;
  readonly #owners = new Map<string, string[]>();

  constructor(files: FileMap) {
    this.#files = files;
  }

  /** Ghosts and files that were not installed claim nothing, nor do directories. */
  add(component: string, files: Iterable<RpmFile>): void {
    for (const file of files) {
      if (file.isGhost || !file.isInstalled || file.path === undefined) {
        continue;
      }
      const path = locate(this.#files, file.path);
      if (path === undefined) {
        continue;
      }
      const owners = this.#owners.get(path);
      if (owners === undefined) {
        this.#owners.set(path, [component]);
      } else if (!owners.includes(component)) {
        owners.push(component);
      }
    }
  }

  /** Component ids in the order in which they were added. */
  of(path: string): readonly string[] {
    return this.#owners.get(path) ?? [];
  }
}

/** Where the file that is installed as `path` lies in the tree; undefined if nowhere, or if it is a directory. */
export function locate(files: FileMap, path: string): TreePath | undefined {
  const direct = files.resolve(path);
  if (direct !== undefined) {
    return direct.type === 'directory' ? undefined : direct.path;
  }
  for (const moved of movedPaths(path)) {
    const entry = files.resolve(moved);
    if (entry !== undefined && entry.type !== 'directory') {
      return entry.path;
    }
  }
  return undefined;
}
