/** The tree of a merge commit: the base commit's tree with derived layers laid over it, as a container sees them. */
import { OstrataError } from '../errors.js';
import type { OstreeRepo } from '../ostree/repo.js';
import { MutableTree } from '../ostree/write/mutable-tree.js';

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Empty files that container builders leave where they mount their own (buildah issue 4242). */
const INJECTED = ['hostname', 'resolv.conf'];

/** Whether a file of a layer is none, but takes away what is below it. */
export function isWhiteout(name: string): boolean {
  return name.startsWith(WHITEOUT);
}

/** The tree of a commit, to be changed. */
export function treeOf(repo: OstreeRepo, commit: string): MutableTree {
  const { dirmeta, dirtree } = repo.loadCommit(commit).parsed;
  return new MutableTree(repo, dirmeta, dirtree);
}

/**
 * Lays `layer` over `base`. Whiteouts take away what is below, not what is in the layer. A directory that is there keeps
 * its owner and mode, as with libostree: a layer names parents it did not change.
 */
export function overlay(base: MutableTree, layer: MutableTree): void {
  if (layer.files.has(OPAQUE)) base.clear();
  for (const name of layer.files.keys()) if (isWhiteout(name) && name !== OPAQUE) base.remove(hiddenName(name));
  for (const [name, checksum] of layer.files) if (!isWhiteout(name)) base.setFile(name, checksum);
  for (const [name, dir] of layer.dirs) {
    const below = base.enter(name) ?? new MutableTree(dir.repo, dir.dirmeta);
    overlay(below, dir);
    base.setDir(name, below);
  }
}

function hiddenName(whiteout: string): string {
  const name = whiteout.slice(WHITEOUT.length);
  if (name === '' || name === '.' || name === '..')
    throw new OstrataError('CORRUPT', `whiteout ${JSON.stringify(whiteout)} names nothing`);
  return name;
}

/** Removes the empty files that builders left in `/etc`. */
export function removeInjected(repo: OstreeRepo, root: MutableTree): void {
  const etc = root.dirs.get('usr')?.dirs.get('etc');
  const injected = INJECTED.filter((name) => {
    const checksum = etc?.files.get(name);
    if (checksum === undefined) return false;
    const { type, size } = repo.fileInfo(checksum);
    return type === 'file' && size === 0;
  });
  if (injected.length === 0) return;
  for (const name of injected) root.enter('usr')?.enter('etc')?.remove(name);
}
