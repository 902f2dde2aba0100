import type { FileMap, TreePath } from '../../src/plugin.js';
import type { RpmFile } from './rpmdb/index.js';

/** Where an ostree-shaped tree keeps what packages install elsewhere; the first rule that fits an existing file counts. */
const MOVED: readonly (readonly [installed: RegExp, moved: string])[] = [
  [/^\/etc\/(.*)$/s, '/usr/etc/$1'],
  // The kernel and what belongs to it: /boot/vmlinuz-KVER is usr/lib/modules/KVER/vmlinuz.
  [/^\/boot\/(vmlinuz|config|System\.map|symvers\.gz|symvers\.xz)-(.+)$/, '/usr/lib/modules/$2/$1'],
  [/^\/boot\/\.(vmlinuz-(.+)\.hmac)$/, '/usr/lib/modules/$2/.vmlinuz.hmac'],
  // What a package puts below /boot otherwise, and into /opt.
  [/^\/boot\/(.*)$/s, '/usr/lib/ostree-boot/$1'],
  [/^\/opt\/(.*)$/s, '/usr/lib/opt/$1'],
  [/^\/var\/lib\/(.*)$/s, '/usr/lib/sysimage/$1'],
];

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
      if (file.isGhost || !file.isInstalled || file.path === undefined) continue;
      const path = locate(this.#files, file.path);
      if (path === undefined) continue;
      const owners = this.#owners.get(path);
      if (owners === undefined) this.#owners.set(path, [component]);
      else if (!owners.includes(component)) owners.push(component);
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
  if (direct !== undefined) return direct.type === 'directory' ? undefined : direct.path;
  for (const [installed, moved] of MOVED) {
    if (!installed.test(path)) continue;
    const entry = files.resolve(path.replace(installed, moved));
    if (entry !== undefined && entry.type !== 'directory') return entry.path;
  }
  return undefined;
}
