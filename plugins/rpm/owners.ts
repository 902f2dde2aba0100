/** Which components own a path, according to the files that packages list. */
import type { PathLookup, TreePath } from '../../src/plugin.js';
import { movedPaths, type RpmFile } from './rpmdb/index.js';

/** Finds files through symlinked directories and in the places to which ostree moves them. */
export class FileOwners {
  readonly #files: PathLookup;
  readonly #owners = new Map<TreePath, string[]>();

  constructor(files: PathLookup) {
    this.#files = files;
  }

  /** Adds the files that {@link locatedFiles} finds. */
  add(component: string, files: Iterable<RpmFile>): void {
    for (const { path } of locatedFiles(this.#files, files)) {
      this.#addOwner(path, component);
    }
  }

  /** Returns component ids in the order in which they were added. */
  of(path: TreePath): readonly string[] {
    return this.#owners.get(path) ?? [];
  }

  #addOwner(path: TreePath, component: string): void {
    const owners = this.#owners.get(path);
    if (owners === undefined) {
      this.#owners.set(path, [component]);
    } else if (!owners.includes(component)) {
      owners.push(component);
    }
  }
}

/**
 * Yields the files and symlinks of a package that are in the tree, with their paths there. Ghosts,
 * files that were not installed and directories are skipped: their package does not own their
 * content.
 */
export function* locatedFiles(
  lookup: PathLookup,
  files: Iterable<RpmFile>,
): Generator<{ readonly path: TreePath; readonly file: RpmFile }> {
  for (const file of files) {
    if (file.isGhost || !file.isInstalled || file.path === undefined) {
      continue;
    }
    const path = locate(lookup, file.path);
    if (path !== undefined) {
      yield { path, file };
    }
  }
}

/**
 * Returns where the file that is installed as `path` lies in the tree; undefined if nowhere, or if
 * it is a directory.
 */
export function locate(files: PathLookup, path: string): TreePath | undefined {
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
