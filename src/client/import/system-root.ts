/**
 * Which top-level directories a system keeps: an ostree system whose root directory is read-only
 * has no place for any but usr, etc and var.
 */
import { collect } from '../../bytes/stream.js';
import { MOUNT_POINTS } from '../../layers/derived.js';
import { parseKeyFile } from '../../ostree/keyfile.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import type { MutableTree } from '../../ostree/write/mutable-tree.js';

/** The parts of a system that ostree always keeps; `/etc` is in `/usr`. */
const KEPT: ReadonlySet<string> = new Set(['usr', 'var', ...MOUNT_POINTS]);

/**
 * Locations of ostree-prepare-root's configuration; the first that exists counts. As in ostree and
 * ostree-ext, `/usr/etc` is not searched: it holds the defaults for the `/etc` of a system, and the
 * initramfs does not read it.
 */
const PREPARE_ROOT_CONFIGS = ['etc/ostree/prepare-root.conf', 'usr/lib/ostree/prepare-root.conf'];
const MAX_CONFIG_SIZE = 1 << 20;
const COMPOSEFS_ENABLED = ['yes', 'true', '1', 'maybe', 'signed', 'verity'];

/**
 * Whether the system's root directory can hold more than usr, etc and var: if it is transient or
 * a composefs, by ostree-prepare-root(1).
 */
export async function hasWritableRoot(repo: OstreeRepo, root: MutableTree): Promise<boolean> {
  const checksum = PREPARE_ROOT_CONFIGS.map((path) => root.lookup(path)).find(Boolean);
  if (checksum === undefined) {
    return false;
  }
  const info = repo.fileInfo(checksum);
  if (info.type !== 'file' || info.size > MAX_CONFIG_SIZE) {
    return false;
  }

  const bytes = await collect(repo.readFile(checksum, info), info.size);
  const config = parseKeyFile(Buffer.from(bytes).toString());
  const isTransient = ['true', '1'].includes(config.get('root')?.get('transient') ?? '');
  const composefs = config.get('composefs')?.get('enabled') ?? '';
  return isTransient || COMPOSEFS_ENABLED.includes(composefs);
}

/**
 * Removes the top-level entries of a layer for which a system with a read-only root has no place.
 * Returns the number of files and directories that they have, by their names.
 */
export function removeUnkept(root: MutableTree): ReadonlyMap<string, number> {
  const removed = new Map<string, number>();
  for (const name of [...root.files.keys(), ...root.dirs.keys()]) {
    if (!KEPT.has(name)) {
      removed.set(name, 1 + countBelow(root.dirs.get(name)));
      root.remove(name);
    }
  }
  return removed;
}

function countBelow(tree: MutableTree | undefined): number {
  // A loop, as a tree can be deeper than calls can be nested.
  const pending = tree === undefined ? [] : [tree];
  let count = 0;
  for (const { files, dirs } of pending) {
    count += files.size + dirs.size;
    pending.push(...dirs.values());
  }
  return count;
}
