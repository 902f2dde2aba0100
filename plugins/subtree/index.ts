/**
 * Content source `subtree`, the last: what nobody claims, by the top of its path, `dir:/usr/share/x`. The id depends on
 * the path alone, so content stays where it is when its neighbours come and go.
 */
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
} from '../../src/plugin.js';

/** `/usr/share/x` is one concern, `/usr/share` is not. */
const DEPTH = 3;

function idOf({ path }: FileEntry): string {
  const deployed = deployedPath(path);
  let end = 0;
  for (let depth = 0; depth < DEPTH; depth++) {
    const next = deployed.indexOf('/', end + 1);
    if (next < 0) {
      break;
    }
    end = next;
  }
  return `dir:${deployed.slice(0, end) || '/'}`;
}

export const subtree: ContentSource = {
  name: 'subtree',
  priority: 50,
  detect: () => true,
  load: async ({ tree }) => {
    const components = new Map<string, ComponentFacts>();
    for (const entry of tree.files) {
      const id = idOf(entry);
      if (!components.has(id)) {
        components.set(id, { name: id, source: id, packages: [] });
      }
    }
    return { components, strong: (entry) => [idOf(entry)] };
  },
};
