/** A layer of files as a tree of a repository, and such a tree as a layer. */
import { must } from '../../errors.js';
import { DEFAULT_DIRMETA, type DerivedDirectory, type DerivedLayer } from '../../layers/derived.js';
import { encodeDirmeta } from '../../ostree/objects/dirmeta.js';
import { sha256Hex } from '../../ostree/objects/object-name.js';
import type { EncodedObject } from '../../ostree/objects/object-set.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { MutableTree } from '../../ostree/write/mutable-tree.js';

/** The tree of a layer; `emit` gets the dirmeta objects that it needs. */
export function treeOfLayer(
  repo: OstreeRepo,
  { directories }: DerivedLayer,
  emit: (object: EncodedObject) => void = () => {},
): MutableTree {
  const trees: MutableTree[] = [];
  for (const { parent, name, meta = DEFAULT_DIRMETA, files } of directories) {
    const bytes = encodeDirmeta(meta);
    const checksum = sha256Hex(bytes);
    emit({ kind: 'dirmeta', checksum, bytes });

    const tree = new MutableTree(repo, checksum);
    for (const [fileName, file] of files) {
      tree.setFile(fileName, file);
    }
    trees.push(tree);
    if (parent !== undefined) {
      must(trees[parent], 'tree of the parent').setDir(name, tree);
    }
  }
  return must(trees[0], 'tree of the root');
}

/** The layer that a tree in the repository holds. */
export function layerOfTree(root: MutableTree): DerivedLayer {
  const directories: DerivedDirectory[] = [];
  const pending: { readonly tree: MutableTree; readonly parent?: number; readonly name: string }[] =
    [{ tree: root, name: '' }];
  for (const { tree, parent, name } of pending) {
    const index = directories.length;
    const meta = tree.repo.loadDirmeta(tree.dirmeta).parsed;
    directories.push({ parent, name, meta, files: tree.files });
    for (const [below, subtree] of tree.dirs) {
      pending.push({ tree: subtree, parent: index, name: below });
    }
  }
  return { directories, dropped: new Map() };
}
