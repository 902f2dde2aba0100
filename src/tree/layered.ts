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
import { inContext, OstrataError } from '../errors.js';
import { isAufsDirectory, parseWhiteout } from '../oci/whiteout.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { NO_XATTRS } from '../ostree/objects/xattr-list.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import type {
  IndexedContent,
  IndexedDirectory,
  IndexedEntry,
  IndexedLink,
  IndexedSpecial,
} from './layer-index.js';
import { pathComponents } from './layer-tar.js';
import { MAX_SYMLINKS } from './lookup.js';
import { childPath } from './path.js';
import type { TreePath } from './tree.js';

type Attributes = Pick<IndexedDirectory, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>;

/** A file, symlink or special file; all its hard links share one. */
export interface Leaf {
  /** The index of the layer that has its content. */
  readonly source: number;
  readonly entry: IndexedContent | IndexedSpecial;
}

/** Most rounds in which links that come before their files are made. */
const MAX_ROUNDS = 40;

interface LeafNode {
  readonly leaf: Leaf;
  /** The layer that put it here. */
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
const DEFAULT_ATTRIBUTES: Attributes = {
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
  xattrs: NO_XATTRS,
};

function isDirectory(node: Node | undefined): node is DirectoryNode {
  return node !== undefined && 'children' in node;
}

export interface DirectoryAt {
  readonly path: TreePath;
  readonly attributes: Attributes;
  readonly leaf?: never;
}
export interface LeafAt {
  readonly path: TreePath;
  readonly leaf: Leaf;
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

  /**
   * Applies the entries of layer number `layer`, in the order of its tar. Hard links may come
   * before the file that they name, as in a derived layer that is pulled.
   */
  addLayer(layer: number, entries: readonly IndexedEntry[]): void {
    const waiting: IndexedLink[] = [];
    for (const entry of entries) {
      inContext(`entry ${JSON.stringify(entry.name)}`, () => {
        if (entry.type !== 'link') {
          this.#add(layer, entry);
        } else if (!this.#addLink(layer, entry)) {
          waiting.push(entry);
        }
      });
    }
    this.#addLateLinks(layer, waiting);
  }

  #add(layer: number, entry: Exclude<IndexedEntry, IndexedLink>): void {
    if (entry.type === 'directory') {
      this.#addDirectory(layer, entry);
    } else {
      this.#addLeaf(layer, entry.name, { source: layer, entry });
    }
  }

  /** Adds links whose files came after them; some may be links to each other. */
  #addLateLinks(layer: number, links: readonly IndexedLink[]): void {
    let waiting = links;
    for (let round = 0; waiting.length > 0; round++) {
      const missing = waiting.filter((link) => !this.#addLateLink(layer, link));
      const [first] = missing;
      if (first !== undefined && (missing.length === waiting.length || round === MAX_ROUNDS)) {
        const place = `entry ${JSON.stringify(first.name)}`;
        const rule = `is a link to ${first.target}, which is not a file of the layer or below it`;
        throw new OstrataError('CORRUPT', `${place}: ${rule}`);
      }
      // A chain of links, each before the file that it names, ends in one round.
      waiting = missing.reverse();
    }
  }

  /** Adds a link unless a later entry has replaced it. Returns whether nothing is left to do. */
  #addLateLink(layer: number, link: IndexedLink): boolean {
    const components = pathComponents(link.name);
    const last = components.pop() ?? '';
    const existing = this.#enter(layer, components).children.get(last);
    return existing?.layer === layer || this.#addLink(layer, link);
  }

  #addDirectory(layer: number, { name, mode, uid, gid, mtime, xattrs }: IndexedDirectory): void {
    const attributes = { mode, uid, gid, mtime, xattrs };
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

  /** Adds anything but a directory, or applies a whiteout. */
  #addLeaf(layer: number, name: string, leaf: Leaf): void {
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

  /** Adds a hard link to a file of this layer or a lower one. Returns whether there is one. */
  #addLink(layer: number, { name, target }: IndexedLink): boolean {
    const components = pathComponents(target);
    const last = components.pop();
    const node = last === undefined ? undefined : this.#enter(layer, components).children.get(last);
    if (node === undefined || isDirectory(node)) {
      return false;
    }
    this.#addLeaf(layer, name, node.leaf);
    return true;
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

  /** Yields everything in the tree, each after its parent directory. */
  *nodes(): Generator<DirectoryAt | LeafAt> {
    const pending: [path: TreePath, node: Node][] = [['/', this.#root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [path, node] = next;
      if (!isDirectory(node)) {
        yield { path, leaf: node.leaf };
        continue;
      }
      yield { path, attributes: node.attributes };
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
  if (node === undefined || isDirectory(node)) {
    return undefined;
  }
  const { entry } = node.leaf;
  return entry.type === 'symlink' ? entry.target : undefined;
}

/** Like {@link pathComponents}, but the target of a symlink may have `..`. */
function targetComponents(target: string): string[] {
  return target.split('/').filter((component) => component !== '' && component !== '.');
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
