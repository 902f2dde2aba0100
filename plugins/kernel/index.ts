/**
 * Content source `kernel`: what no package owns beside a kernel. ostree systems keep kernel and initramfs in
 * `usr/lib/modules/KVER`; the initramfs is made anew by each compose, and with depmod's files it is packaged nowhere.
 */
import type { ComponentFacts, ContentSource, FileEntry } from '../../src/plugin.js';

const MODULES_FILE = /^\/usr\/lib\/modules\/[^/]+\/([^/]+)$/;

const component = (id: string): [string, ComponentFacts] => [
  id,
  { name: id, source: id, packages: [] },
];

function owner({ path }: FileEntry): readonly string[] {
  const name = MODULES_FILE.exec(path)?.[1];
  if (name === undefined) {
    return [];
  }
  return [/^initramfs|^initrd/.test(name) ? 'initramfs' : 'kernel'];
}

export const kernel: ContentSource = {
  name: 'kernel',
  priority: 30,
  detect: (files) =>
    [...files].some((entry) => entry.type !== 'directory' && owner(entry).length > 0),
  load: async () => ({
    components: new Map([component('kernel'), component('initramfs')]),
    strong: owner,
  }),
};
