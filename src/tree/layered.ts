/**
 * A root file system put together from the layers of an image. Spec:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md (changesets, whiteouts)
 *
 * The whiteout `.wh.NAME` removes the NAME of lower layers, and `.wh..wh..opq` removes everything
 * that lower layers have in its directory. Neither removes anything that its own layer adds,
 * wherever that is in the tar. Directories are merged; any other entry replaces the one at its
 * path. Symlinks above the last component of a name are followed within the root, as programs that
 * unpack layers do.
 */
import type { Xattrs } from '../bytes/xattrs.js';
import { OstrataError } from '../errors.js';
import { isAufsDirectory, parseWhiteout } from '../oci/whiteout.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { NO_XATTRS } from '../ostree/objects/xattr-list.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import { pathComponents } from './layer-tar.js';
import { MAX_SYMLINKS } from './lookup.js';
import { childPath } from './path.js';
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
  /** Index of the layer in the manifest. */
  readonly layer: number;
  /** Index of the entry in the layer's tar. */
  readonly entry: number;
}

/** A file or symlink; all its hard links share one. */
export interface Leaf extends Attributes {
  readonly size: number;
  /** Undefined unless it is a symlink. */
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
  /** The last layer with an entry for the directory. */
  layer: number;
  readonly children: Map<string, Node>;
}
type Node = LeafNode | DirectoryNode;

/** Attributes of a directory that exists only because entries lie below it. */
const DEFAULT_ATTRIBUTES: Attributes = { mode: S_IFDIR | 0o755, uid: 0, gid: 0, xattrs: NO_XATTRS };

function isDirectory(node: Node | undefined): node is DirectoryNode {
  return node !== undefined && 'children' in node;
}

/**
 * Takes the entries of all layers, the lowest layer first. Names are those in the tar. Throws
 * `CORRUPT` for an entry that cannot be in the tree, and `LIMIT` for a tree that grows too large.
 */
export class LayeredTree {
  readonly #root: DirectoryNode = {
    attributes: DEFAULT_ATTRIBUTES,
    layer: -1,
    children: new Map(),
  };
  #entryCount = 1;

  addDirectory(layer: number, name: string, attributes: Attributes): void {
    const components = pathComponents(name);
    const last = components.pop();
    if (last === undefined) {
      this.#root.attributes = attributes;
      this.#root.layer = layer;
      return;
    }
    if (isAufsDirectory(last)) {
      return;
    }

    const parent = this.#enter(layer, components);
    const existing = parent.children.get(last);
    if (isDirectory(existing)) {
      existing.attributes = attributes;
      existing.layer = layer;
    } else {
      this.#put(parent, last, { attributes, layer, children: new Map() });
    }
  }

  /** Adds a file or symlink, or applies a whiteout. */
  addLeaf(layer: number, name: string, leaf: Leaf): void {
    const components = pathComponents(name);
    const last = components.pop();
    if (last === undefined) {
      throw new OstrataError('CORRUPT', 'is the root of the image and not a directory');
    }

    const parent = this.#enter(layer, components);
    const whiteout = parseWhiteout(last);
    if (whiteout === undefined) {
      this.#put(parent, last, { leaf, layer });
    } else if (whiteout.kind === 'opaque') {
      hideChildren(parent, layer);
    } else if (whiteout.kind === 'removal') {
      hide(parent, whiteout.name, layer);
    }
  }

  /** Adds a hard link to a file of this layer or a lower one. */
  addLink(layer: number, name: string, target: string): void {
    const components = pathComponents(target);
    const last = components.pop();
    const node = last === undefined ? undefined : this.#enter(layer, components).children.get(last);
    if (node === undefined || isDirectory(node)) {
      throw new OstrataError('CORRUPT', `is a link to ${target}, which is not a file before it`);
    }
    this.addLeaf(layer, name, node.leaf);
  }

  /** Removes `path` and everything below it. */
  remove(path: string): void {
    const components = pathComponents(path);
    const last = components.pop();
    let node: Node | undefined = this.#root;
    for (const component of components) {
      node = isDirectory(node) ? node.children.get(component) : undefined;
    }
    if (isDirectory(node) && last !== undefined) {
      node.children.delete(last);
    }
  }

  /**
   * Yields every entry, each after its parent directory; for files and symlinks also where they
   * come from.
   */
  *entries(): Generator<{ readonly entry: FileEntry; readonly source?: Source | undefined }> {
    const pending: [path: TreePath, node: Node][] = [['/', this.#root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [path, node] = next;
      if (!isDirectory(node)) {
        yield { entry: leafEntry(path, node.leaf), source: node.leaf.source };
        continue;
      }
      yield { entry: { type: 'directory', path, ...node.attributes } };
      for (const [name, child] of node.children) {
        // Files in a directory of AUFS are kept only because hard links may point to them.
        if (!isAufsDirectory(name)) {
          pending.push([childPath(path, name), child]);
        }
      }
    }
  }

  /** Returns the directory at `path`; creates those that are missing and replaces files. */
  #enter(layer: number, path: readonly string[]): DirectoryNode {
    /** Components that are still to be followed, the next one last. */
    const pending = path.toReversed();
    const parents: DirectoryNode[] = [];
    let directory = this.#root;
    let links = 0;

    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '..') {
        directory = parents.pop() ?? this.#root;
        continue;
      }

      const child = directory.children.get(name);
      const target = linkTarget(child);
      if (target === undefined) {
        parents.push(directory);
        directory = isDirectory(child) ? child : this.#create(directory, name, layer);
        continue;
      }

      links++;
      if (links > MAX_SYMLINKS) {
        throw new OstrataError('LIMIT', `more than ${MAX_SYMLINKS} symlinks in its directories`);
      }
      if (target.startsWith('/')) {
        parents.length = 0;
        directory = this.#root;
      }
      pending.push(...targetComponents(target).reverse());
    }
    return directory;
  }

  #create(parent: DirectoryNode, name: string, layer: number): DirectoryNode {
    const directory = { attributes: DEFAULT_ATTRIBUTES, layer, children: new Map<string, Node>() };
    this.#put(parent, name, directory);
    return directory;
  }

  #put(parent: DirectoryNode, name: string, node: Node): void {
    if (!parent.children.has(name)) {
      this.#entryCount++;
      if (this.#entryCount > MAX_TREE_ENTRIES) {
        throw new OstrataError('LIMIT', `more than ${MAX_TREE_ENTRIES} files and directories`);
      }
    }
    parent.children.set(name, node);
  }
}

/** The target of a symlink; undefined for any other node. */
function linkTarget(node: Node | undefined): string | undefined {
  return node === undefined || isDirectory(node) ? undefined : node.leaf.target;
}

/** Like {@link pathComponents}, but the target of a symlink may have `..`. */
function targetComponents(target: string): string[] {
  return target.split('/').filter((component) => component !== '' && component !== '.');
}

function leafEntry(path: TreePath, leaf: Leaf): FileEntry {
  const { mode, uid, gid, xattrs, size, target, checksum } = leaf;
  if (target !== undefined) {
    return { type: 'symlink', path, mode, uid, gid, xattrs, size: 0, target, checksum };
  }
  return { type: 'file', path, mode, uid, gid, xattrs, size, checksum };
}

/**
 * Removes whatever layers below `layer` have at `name`. A directory in which `layer` has something
 * stays.
 */
function hide(parent: DirectoryNode, name: string, layer: number): void {
  const node = parent.children.get(name);
  if (node === undefined) {
    return;
  }
  if (isDirectory(node)) {
    hideChildren(node, layer);
  }
  const isEmpty = !isDirectory(node) || node.children.size === 0;
  if (node.layer < layer && isEmpty) {
    parent.children.delete(name);
  }
}

function hideChildren(directory: DirectoryNode, layer: number): void {
  for (const name of directory.children.keys()) {
    hide(directory, name, layer);
  }
}
