/**
 * Content source `kernel`: files beside a kernel that no package owns. ostree systems keep kernel
 * and initramfs in `usr/lib/modules/KVER`. Each build makes a new initramfs. No package owns it,
 * nor the files that depmod writes.
 */
import type { ComponentFacts, ContentSource, FileEntry } from '../../src/plugin.js';

const MODULES_FILE = /^\/usr\/lib\/modules\/[^/]+\/([^/]+)$/;
const INITRAMFS = /^initramfs|^initrd/;

export const kernel: ContentSource = {
  name: 'kernel',
  priority: 30,
  detect: (files) =>
    [...files].some((entry) => entry.type !== 'directory' && ownersOf(entry).length > 0),
  load: async () => ({
    components: new Map([
      ['kernel', factsOf('kernel')],
      ['initramfs', factsOf('initramfs')],
    ]),
    strong: ownersOf,
  }),
};

function factsOf(id: string): ComponentFacts {
  return { name: id, source: id, packages: [] };
}

function ownersOf({ path }: FileEntry): readonly string[] {
  const name = MODULES_FILE.exec(path)?.[1];
  if (name === undefined) {
    return [];
  }
  return [INITRAMFS.test(name) ? 'initramfs' : 'kernel'];
}
