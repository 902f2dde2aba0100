/** The tree of a merge commit: the base commit's tree with derived layers laid over it, as a container sees them. */
import { isAufsDirectory, parseWhiteout } from '../oci/whiteout.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { MutableTree } from '../ostree/write/mutable-tree.js';

/** Empty files that container builders leave where they mount their own (buildah issue 4242). */
const INJECTED = ['hostname', 'resolv.conf'];

/** The tree of a commit, to be changed. */
export function mutableTreeOfCommit(repo: OstreeRepo, commit: string): MutableTree {
  const { dirmeta, dirtree } = repo.loadCommit(commit).parsed;
  return new MutableTree(repo, dirmeta, dirtree);
}

/**
 * Lays `layer` over `base`. Whiteouts take away what is below, not what is in the layer. A directory that is there keeps
 * its owner and mode, as with libostree: a layer names parents it did not change.
 */
export function overlay(base: MutableTree, layer: MutableTree): void {
  const whiteouts = [...layer.files.keys()].map(parseWhiteout);
  if (whiteouts.some((whiteout) => whiteout?.kind === 'opaque')) {
    base.clear();
  }
  for (const whiteout of whiteouts) {
    if (whiteout?.kind === 'removal') {
      base.remove(whiteout.name);
    }
  }
  for (const [name, checksum] of layer.files) {
    if (parseWhiteout(name) === undefined) {
      base.setFile(name, checksum);
    }
  }
  for (const [name, dir] of layer.dirs) {
    if (isAufsDirectory(name)) {
      continue;
    }
    const below = base.enter(name) ?? new MutableTree(dir.repo, dir.dirmeta);
    overlay(below, dir);
    base.setDir(name, below);
  }
}

/** Removes the empty files that builders left in `/etc`. */
export function removeInjected(repo: OstreeRepo, root: MutableTree): void {
  const etc = root.dirs.get('usr')?.dirs.get('etc');
  const injected = INJECTED.filter((name) => {
    const checksum = etc?.files.get(name);
    if (checksum === undefined) {
      return false;
    }
    const { type, size } = repo.fileInfo(checksum);
    return type === 'file' && size === 0;
  });
  if (injected.length === 0) {
    return;
  }
  for (const name of injected) {
    root.enter('usr')?.enter('etc')?.remove(name);
  }
}
