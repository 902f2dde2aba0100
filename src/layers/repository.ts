/**
 * The ostree repository inside each layer: the directories that it always has, and the xattr that
 * only its objects have.
 */
import type { Xattrs } from '../bytes/xattrs.js';
import { withoutLabel } from '../tree/labels.js';
import { REPO_DIRECTORY } from '../tree/ostree-tar.js';
import type { TreePath } from '../tree/tree.js';

/** The 256 directories of objects, by the first two hex digits of their checksums. */
const OBJECT_DIRECTORIES = Array.from(
  { length: 256 },
  (_, i) => `objects/${i.toString(16).padStart(2, '0')}`,
);

/** Directories that every layer writes, relative to the root of the image. */
export const SKELETON: readonly string[] = [
  'sysroot',
  'sysroot/ostree',
  REPO_DIRECTORY,
  ...[
    'objects',
    ...OBJECT_DIRECTORIES,
    'extensions',
    'refs',
    'refs/heads',
    'refs/mirrors',
    'refs/remotes',
    'state',
    'tmp',
    'tmp/cache',
  ].map((name) => `${REPO_DIRECTORY}/${name}`),
];
const SKELETON_PATHS = new Set(SKELETON);

/** Whether every layer writes the directory at `path` as part of the repository. */
export function isSkeleton(path: TreePath): boolean {
  return SKELETON_PATHS.has(path.slice(1));
}

/**
 * Returns the xattrs that an entry of a layer has: all but the SELinux label, which only ostree
 * objects have. Running containers do not show it, and some programs refuse to unpack it.
 */
export function listedXattrs(xattrs: Xattrs): Xattrs {
  return withoutLabel(xattrs);
}
