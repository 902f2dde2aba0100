/** Content source `bigfiles`: each large file that no package owns is a component, `file:/path`. */
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
  type RegularFile,
} from '../../src/plugin.js';

/**
 * Bytes. As a part of another component, a larger file would cost more than as a component of its
 * own, because its changes would make clients download its neighbors, too.
 */
const MIN_SIZE = 1 << 20;

export const bigfiles: ContentSource = {
  name: 'bigfiles',
  priority: 40,
  detect: (files) => [...files].some(isBig),
  async load({ tree }) {
    const components = new Map<string, ComponentFacts>();
    for (const entry of tree.files) {
      if (isBig(entry)) {
        const id = idOf(entry);
        components.set(id, { name: id, source: id, packages: [] });
      }
    }
    return { components, strong: (entry) => (isBig(entry) ? [idOf(entry)] : []) };
  },
};

function isBig(entry: FileEntry): entry is RegularFile {
  return entry.type === 'file' && entry.size >= MIN_SIZE;
}

function idOf({ path }: FileEntry): string {
  return `file:${deployedPath(path)}`;
}
