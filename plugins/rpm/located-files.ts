/** Where the files that packages list lie in a tree. */
import type { PathLookup, TreePath } from '../../src/plugin.js';
import { movedPaths, type RpmFile } from './rpmdb/index.js';

/**
 * Yields the files and symlinks of a package with their paths in the tree; the path is undefined if
 * the tree lacks them. Ghosts, files that were not installed and directories are skipped: their
 * package does not own their content.
 */
export function* locatedFiles(
  lookup: PathLookup,
  files: Iterable<RpmFile>,
): Generator<{ readonly path: TreePath | undefined; readonly file: RpmFile }> {
  for (const file of files) {
    if (file.isGhost || !file.isInstalled || file.path === undefined) {
      continue;
    }
    yield { path: locate(lookup, file.path), file };
  }
}

/**
 * Returns where the file that is installed as `path` lies in the tree; undefined if nowhere, or if
 * it is a directory.
 */
function locate(files: PathLookup, path: string): TreePath | undefined {
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
