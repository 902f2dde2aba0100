/**
 * Content source `subtree`, the last one asked: the component of a file that nobody else claims is
 * the top of its path, `dir:/usr/share/x`. The id depends on the path alone, so files stay together
 * when their neighbors come and go.
 */
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
} from '../../src/plugin.js';

/** Number of directories in an id: `/usr/share/x` is about one thing, `/usr/share` is not. */
const DEPTH = 3;

export const subtree: ContentSource = {
  name: 'subtree',
  priority: 50,
  detect: () => true,
  async load({ tree }) {
    const components = new Map<string, ComponentFacts>();
    for (const entry of tree.files) {
      const id = idOf(entry);
      components.set(id, { name: id, source: id, packages: [] });
    }
    return { components, strong: (entry) => [idOf(entry)] };
  },
};

function idOf({ path }: FileEntry): string {
  const deployed = deployedPath(path);
  let end = 0;
  for (let depth = 0; depth < DEPTH; depth++) {
    const slash = deployed.indexOf('/', end + 1);
    if (slash < 0) {
      break;
    }
    end = slash;
  }
  return `dir:${deployed.slice(0, end) || '/'}`;
}
