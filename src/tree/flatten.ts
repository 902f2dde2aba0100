/** The root file system that the layers of an image make when they are unpacked one by one. */
import { inContext } from '../errors.js';
import { FileMap } from './file-map.js';
import type { IndexedContent, IndexedEntry } from './layer-index.js';
import { pathComponents } from './layer-tar.js';
import { LayeredTree } from './layered.js';
import type { Leaf } from './layered-nodes.js';
import { makeDirectory, makeFile, makeSymlink } from './make-entry.js';
import { OBJECTS_PREFIX, REPO_DIRECTORY } from './ostree-tar.js';
import type { FileEntry, TreePath } from './tree.js';

/** Where the content of a file lies. */
export interface Source {
  /** Index of the layer in the manifest. */
  readonly layer: number;
  readonly entry: IndexedContent;
}

export interface FlattenedImage {
  readonly files: FileMap;
  /** Where the content of each file and symlink comes from. */
  readonly sources: ReadonlyMap<TreePath, Source>;
  /** The layers that devices, pipes and sockets come from; these are not in `files`. */
  readonly specialFiles: ReadonlyMap<TreePath, number>;
}

/**
 * Applies the layers of an image, the lowest first. The ostree repository in an encapsulated image
 * is not part of the result. Throws `CORRUPT` for an entry that cannot be in the tree, and `LIMIT`
 * for a tree that grows too large.
 */
export function flattenLayers(
  layers: readonly (readonly IndexedEntry[])[],
  isPruned: (path: TreePath) => boolean = () => false,
): FlattenedImage {
  const tree = new LayeredTree();
  for (const [i, entries] of layers.entries()) {
    inContext(`layer ${i}`, () => tree.addLayer(i, entries));
  }
  tree.remove(REPO_DIRECTORY);
  const nodes = Array.from(tree.nodes()).filter(({ path }) => !isPruned(path));

  const names = countNames(nodes.flatMap(({ leaf }) => leaf ?? []));
  const entries: FileEntry[] = [];
  const sources = new Map<TreePath, Source>();
  const specialFiles = new Map<TreePath, number>();
  for (const node of nodes) {
    if (node.leaf === undefined) {
      const { path, attributes } = node;
      entries.push(makeDirectory(path, attributes, attributes.xattrs));
      continue;
    }
    const { path, leaf } = node;
    const { source: layer, entry } = leaf;
    if (entry.type === 'special') {
      specialFiles.set(path, layer);
      continue;
    }
    const isLinked = (names.get(leaf) ?? 0) > 1;
    entries.push(contentEntry(path, entry, isLinked ? `${layer}:${entry.offset}` : undefined));
    sources.set(path, { layer, entry });
  }
  return { files: new FileMap(entries), sources, specialFiles };
}

/** What one layer puts into the tree of its image, without what upper layers replace or remove. */
export interface LayerPaths {
  /** Files and symlinks. */
  readonly files: readonly TreePath[];
  /** Directories that the layer has entries for. */
  readonly directories: readonly TreePath[];
}

/** Returns what each of the layers that `image` was made of puts into it. */
export function layerPaths(
  layers: readonly (readonly IndexedEntry[])[],
  image: FlattenedImage,
): readonly LayerPaths[] {
  const files = layers.map((): TreePath[] => []);
  for (const [path, { layer }] of image.sources) {
    files[layer]?.push(path);
  }
  return layers.map((entries, i) => ({
    files: files[i] ?? [],
    directories: directoriesOf(entries, image.files),
  }));
}

function directoriesOf(entries: readonly IndexedEntry[], tree: FileMap): readonly TreePath[] {
  const paths = new Set<TreePath>();
  for (const { type, name } of entries) {
    const path: TreePath = `/${pathComponents(name).join('/')}`;
    if (type === 'directory' && tree.get(path)?.type === 'directory') {
      paths.add(path);
    }
  }
  return [...paths];
}

/** Returns how many names each file has. */
function countNames(leaves: readonly Leaf[]): ReadonlyMap<Leaf, number> {
  const counts = new Map<Leaf, number>();
  for (const leaf of leaves) {
    counts.set(leaf, (counts.get(leaf) ?? 0) + 1);
  }
  return counts;
}

/** @param inode identifies the file if it has several names */
function contentEntry(path: TreePath, entry: IndexedContent, inode: string | undefined): FileEntry {
  // A commit records no times, so those of its objects in a tar mean nothing.
  const isObject = entry.name.replace(/^\.\//, '').startsWith(OBJECTS_PREFIX);
  const attributes = isObject ? { ...entry, mtime: undefined } : entry;
  return entry.type === 'symlink'
    ? makeSymlink(path, attributes, entry.xattrs, entry, inode)
    : makeFile(path, attributes, entry.xattrs, entry, inode);
}
