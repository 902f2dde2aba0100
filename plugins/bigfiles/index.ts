/** Content source `bigfiles`: each large file that no package owns is a component of its own, `file:/path`. */
import {
  type ComponentFacts,
  type ContentSource,
  deployedPath,
  type FileEntry,
  type RegularFile,
} from '../../src/plugin.js';

/** From this size on a layer (or a place in one) of its own costs less than dirtying its neighbours. */
const BIG = 1 << 20;

const isBig = (entry: FileEntry): entry is RegularFile =>
  entry.type === 'file' && entry.size >= BIG;
const idOf = ({ path }: FileEntry) => `file:${deployedPath(path)}`;

export const bigfiles: ContentSource = {
  name: 'bigfiles',
  priority: 40,
  detect: (files) => [...files].some(isBig),
  load: async ({ tree }) => ({
    components: new Map(
      [...tree.files].filter(isBig).map((entry): [string, ComponentFacts] => {
        const id = idOf(entry);
        return [id, { name: id, source: id, packages: [] }];
      }),
    ),
    strong: (entry) => (isBig(entry) ? [idOf(entry)] : []),
  }),
};
