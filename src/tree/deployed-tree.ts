/** A commit as a system has it that was installed from it, and as a plain image has it. */
import { OstrataError } from '../errors.js';
import type { CommitTree } from './commit.js';
import { type LocatedTree, readFunctions } from './content-location.js';
import { FileMap } from './file-map.js';
import { deployedPath } from './path.js';
import type { FileEntry, TreePath } from './tree.js';

/**
 * Returns the tree of a commit with `/usr/etc` as `/etc`. Throws `UNSUPPORTED` if the commit has
 * both, unless `/etc` is an empty directory.
 * @param isPruned whether the entry at a path of the result is left out
 */
export function deployedTree(
  commit: CommitTree,
  isPruned: (path: TreePath) => boolean,
): LocatedTree {
  const { name, content } = commit;
  const files = new FileMap(deployedEntries(commit, isPruned));
  const tree = { name, files, content };
  return { ...tree, ...readFunctions(tree) };
}

function* deployedEntries(
  { name, files }: CommitTree,
  isPruned: (path: TreePath) => boolean,
): Generator<FileEntry> {
  const isMoved = files.get('/usr/etc')?.type === 'directory';
  for (const entry of files) {
    const isReplaced = isMoved && entry.path === '/etc' && entry.type === 'directory';
    if (isReplaced) {
      continue;
    }
    if (isMoved && isInEtc(entry.path)) {
      throw new OstrataError(
        'UNSUPPORTED',
        `${name} has both /etc and /usr/etc, which are the same directory in an image`,
      );
    }

    const path = deployedPath(entry.path) as TreePath;
    if (!isPruned(path)) {
      yield { ...entry, path };
    }
  }
}

function isInEtc(path: TreePath): boolean {
  return path === '/etc' || path.startsWith('/etc/');
}
