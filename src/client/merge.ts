/**
 * Builds the tree of a merge commit: the tree of the base commit, if there is one, with layers of
 * files laid over it, as a container sees them.
 */
import { must } from '../errors.js';
import { isAufsDirectory, parseWhiteout } from '../oci/whiteout.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { MutableTree } from '../ostree/write/mutable-tree.js';

/**
 * Files in `/etc` over which container builders mount their own, and which they leave empty:
 * https://github.com/containers/buildah/issues/4242
 */
const INJECTED_FILES = ['hostname', 'resolv.conf'];

/** Returns the tree of a commit; the caller may change it. */
export function mutableTreeOfCommit(repo: OstreeRepo, commit: string): MutableTree {
  const { dirmeta, dirtree } = repo.loadCommit(commit).parsed;
  return new MutableTree(repo, dirmeta, dirtree);
}

/**
 * Returns a tree with all layers laid over the commit `base`. Without a commit, the root has the
 * owner, mode and xattrs that the first layer gives it.
 */
export function mergedTree(
  repo: OstreeRepo,
  base: string | undefined,
  layers: readonly MutableTree[],
): MutableTree {
  const root =
    base === undefined
      ? new MutableTree(repo, must(layers[0], 'the first layer').dirmeta)
      : mutableTreeOfCommit(repo, base);
  for (const layer of layers) {
    overlay(root, layer);
  }
  return root;
}

/**
 * Lays `layer` over `base`, which it changes. Whiteouts remove what is in `base`, never what is in
 * the layer. A directory in both keeps the owner, mode and xattrs that it has in `base`, as with
 * ostree-ext: layers list parents that they did not change, with owners and modes of the build. An
 * opaque directory replaces the one in `base`, so it has those of the layer.
 * Spec: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
 */
export function overlay(base: MutableTree, layer: MutableTree): void {
  // A loop, as a tree can be deeper than calls can be nested.
  const pairs: [base: MutableTree, layer: MutableTree][] = [[base, layer]];
  for (const pair of pairs) {
    for (const subdirectories of overlayDirectory(...pair)) {
      pairs.push(subdirectories);
    }
  }
}

/** Lays one directory over another. Returns the pairs of their subdirectories. */
function* overlayDirectory(
  base: MutableTree,
  layer: MutableTree,
): Iterable<[base: MutableTree, layer: MutableTree]> {
  applyWhiteouts(base, layer);
  for (const [name, checksum] of layer.files) {
    if (parseWhiteout(name) === undefined) {
      base.setFile(name, checksum);
    }
  }
  for (const [name, directory] of layer.dirs) {
    if (isAufsDirectory(name)) {
      continue;
    }
    let below = base.enter(name);
    if (below === undefined) {
      below = new MutableTree(directory.repo, directory.dirmeta);
      base.setDir(name, below);
    }
    yield [below, directory];
  }
}

function applyWhiteouts(base: MutableTree, layer: MutableTree): void {
  const whiteouts = [...layer.files.keys()].map(parseWhiteout);
  if (whiteouts.some((whiteout) => whiteout?.kind === 'opaque')) {
    base.reset(layer.dirmeta);
  }
  for (const whiteout of whiteouts) {
    if (whiteout?.kind === 'removal') {
      base.remove(whiteout.name);
    }
  }
}

/** Removes the empty files that container builders left in `/etc`. */
export function removeInjected(repo: OstreeRepo, root: MutableTree): void {
  const etc = root.dirs.get('usr')?.dirs.get('etc');
  for (const name of INJECTED_FILES) {
    const checksum = etc?.files.get(name);
    if (checksum !== undefined && isEmptyFile(repo, checksum)) {
      root.enter('usr')?.enter('etc')?.remove(name);
    }
  }
}

function isEmptyFile(repo: OstreeRepo, checksum: string): boolean {
  const { type, size } = repo.fileInfo(checksum);
  return type === 'file' && size === 0;
}
