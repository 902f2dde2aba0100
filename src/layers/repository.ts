/** The ostree repository inside each layer: the directories it always has, and what they leave unsaid. */
import { REPO_DIRECTORY } from '../tree/ostree-tar.js';
import type { TreePath } from '../tree/tree.js';

/** Not visible in a running container, and refused by some unpackers: it is in the ostree objects only. */
export const UNLISTED_XATTR = 'security.selinux';

/** Directories that every layer writes, relative to the root of the image. */
export const SKELETON: readonly string[] = [
  'sysroot',
  'sysroot/ostree',
  REPO_DIRECTORY,
  `${REPO_DIRECTORY}/objects`,
  ...Array.from(
    { length: 256 },
    (_, i) => `${REPO_DIRECTORY}/objects/${i.toString(16).padStart(2, '0')}`,
  ),
  ...[
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

/** Whether every layer writes the directory `path` as part of the repository. */
export function isSkeleton(path: TreePath): boolean {
  return SKELETON_PATHS.has(path.slice(1));
}
