/**
 * A root file system put together from layers.
 * Spec: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md (changesets, whiteouts)
 *
 * `.wh.NAME` removes NAME as lower layers have it, `.wh..wh..opq` all that lower layers have in its directory; neither
 * touches what its own layer adds, wherever that stands. Directories are merged; anything else replaces what was there.
 * Symlinks in the directories of a path are followed within the root, as programs that unpack layers do.
 */
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { isAufsDirectory, parseWhiteout } from '../oci/whiteout.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { NO_XATTRS } from '../ostree/objects/xattr-list.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import { MAX_SYMLINKS } from './lookup.js';
import type { FileEntry, TreePath } from './tree.js';

interface Attributes {
  /** `st_mode` with its type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs: Xattrs;
}
/** Where the content of a file is. */
export interface Source {
  readonly layer: number;
  /** Which entry of the layer's tar, from 0. */
  readonly entry: number;
}
/** A file or symlink; hard links share one. */
export interface Leaf extends Attributes {
  readonly size: number;
  /** Of a symlink. */
  readonly target?: string | undefined;
  readonly checksum: string;
  readonly source: Source;
}

interface LeafNode {
  readonly leaf: Leaf;
  readonly layer: number;
}
interface DirectoryNode {
  attributes: Attributes;
  /** The last layer that has an entry of it. */
  layer: number;
  readonly children: Map<string, Node>;
}
type Node = LeafNode | DirectoryNode;

const MADE_DIRECTORY: Attributes = { mode: S_IFDIR | 0o755, uid: 0, gid: 0, xattrs: NO_XATTRS };
const isDirectory = (node: Node | undefined): node is DirectoryNode =>
  node !== undefined && 'children' in node;

/** Layers are applied from the lowest on; entries are given with their names as they stand in the tar. */
export class LayeredTree {
  readonly #root: DirectoryNode = { attributes: MADE_DIRECTORY, layer: -1, children: new Map() };
  #entries = 1;

  /** A directory of layer `layer`. */
  addDirectory(layer: number, name: string, attributes: Attributes): void {
    const components = componentsOf(name);
    const last = components.pop();
    if (last === undefined) {
      this.#root.attributes = attributes;
      this.#root.layer = layer;
      return;
    }
    if (isAufsDirectory(last)) {
      return;
    }
    const parent = this.#directory(layer, components);
    const existing = parent.children.get(last);
    if (!isDirectory(existing)) {
      this.#put(parent, last, { attributes, layer, children: new Map() });
    } else {
      existing.attributes = attributes;
      existing.layer = layer;
    }
  }

  /** A file or symlink of layer `layer`, or a whiteout. */
  addLeaf(layer: number, name: string, leaf: Leaf): void {
    const components = componentsOf(name);
    const last = components.pop();
    if (last === undefined) {
      throw new OstrataError('CORRUPT', 'names the root, and is no directory');
    }
    const parent = this.#directory(layer, components);
    const whiteout = parseWhiteout(last);
    if (whiteout === undefined) {
      this.#put(parent, last, { leaf, layer });
    } else if (whiteout.kind === 'opaque') {
      hideChildren(parent, layer);
    } else if (whiteout.kind === 'removal') {
      hide(parent, whiteout.name, layer);
    }
  }

  /** A hard link to what this layer or a lower one has as `target`. */
  addLink(layer: number, name: string, target: string): void {
    const components = componentsOf(target);
    const last = components.pop();
    const node =
      last === undefined ? undefined : this.#directory(layer, components).children.get(last);
    if (node === undefined || isDirectory(node)) {
      throw new OstrataError('CORRUPT', `is a link to ${target}, which is no file`);
    }
    this.addLeaf(layer, name, node.leaf);
  }

  /** Takes `path` and all below it out. */
  remove(path: string): void {
    const components = componentsOf(path);
    const last = components.pop();
    let node: Node | undefined = this.#root;
    for (const component of components) {
      node = isDirectory(node) ? node.children.get(component) : undefined;
    }
    if (isDirectory(node) && last !== undefined) {
      node.children.delete(last);
    }
  }

  /** Every entry, and where the content of each file is. */
  *entries(): Generator<{ readonly entry: FileEntry; readonly source?: Source | undefined }> {
    const pending: [path: TreePath, node: Node][] = [['/', this.#root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [path, node] = next;
      if (!isDirectory(node)) {
        yield { entry: leafEntry(path, node.leaf), source: node.leaf.source };
      } else {
        yield { entry: { type: 'directory', path, ...node.attributes } };
        for (const [name, child] of node.children) {
          pending.push([`${path === '/' ? '' : path}/${name}`, child]);
        }
      }
    }
  }

  /** The directory at `path`; what is missing of it is made. */
  #directory(layer: number, path: readonly string[]): DirectoryNode {
    const pending = path.toReversed();
    let chain: DirectoryNode[] = [this.#root];
    for (let links = 0; pending.length > 0; ) {
      const name = pending.pop() as string;
      const at = chain.at(-1) as DirectoryNode;
      if (name === '..') {
        if (chain.length > 1) {
          chain.pop();
        }
        continue;
      }
      const child = at.children.get(name);
      if (isDirectory(child)) {
        chain.push(child);
      } else if (child?.leaf.target !== undefined) {
        if (++links > MAX_SYMLINKS) {
          throw new OstrataError('LIMIT', `more than ${MAX_SYMLINKS} symlinks in its directories`);
        }
        if (child.leaf.target.startsWith('/')) {
          chain = [this.#root];
        }
        pending.push(
          ...child.leaf.target
            .split('/')
            .filter((part) => part !== '' && part !== '.')
            .reverse(),
        );
      } else {
        const made: DirectoryNode = { attributes: MADE_DIRECTORY, layer, children: new Map() };
        this.#put(at, name, made);
        chain.push(made);
      }
    }
    return chain.at(-1) as DirectoryNode;
  }

  #put(parent: DirectoryNode, name: string, node: Node): void {
    if (!parent.children.has(name) && ++this.#entries > MAX_TREE_ENTRIES) {
      throw new OstrataError('LIMIT', `more than ${MAX_TREE_ENTRIES} files and directories`);
    }
    parent.children.set(name, node);
  }
}

function leafEntry(
  path: TreePath,
  { mode, uid, gid, xattrs, size, target, checksum }: Leaf,
): FileEntry {
  if (target !== undefined) {
    return { type: 'symlink', path, mode, uid, gid, xattrs, size: 0, target, checksum };
  }
  return { type: 'file', path, mode, uid, gid, xattrs, size, checksum };
}

/** Of a name in a tar: relative to the root, whatever it begins with. */
function componentsOf(name: string): string[] {
  const components = name.split('/').filter((part) => part !== '' && part !== '.');
  if (components.includes('..')) {
    throw new OstrataError('CORRUPT', 'leaves the image');
  }
  return components;
}

/** Removes `name` as layers below `layer` have it; what `layer` itself has below it stays. */
function hide(parent: DirectoryNode, name: string, layer: number): void {
  const node = parent.children.get(name);
  if (node === undefined) {
    return;
  }
  if (isDirectory(node)) {
    hideChildren(node, layer);
  }
  if (node.layer < layer && (!isDirectory(node) || node.children.size === 0)) {
    parent.children.delete(name);
  }
}

function hideChildren(directory: DirectoryNode, layer: number): void {
  for (const name of directory.children.keys()) {
    hide(directory, name, layer);
  }
}
