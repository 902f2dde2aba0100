/**
 * A root file system put together from the layers of an image. Spec:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md (changesets, whiteouts)
 *
 * The whiteout `.wh.NAME` removes the NAME of lower layers, and `.wh..wh..opq` removes everything
 * that lower layers have in its directory; as programs that unpack layers do, their type is
 * ignored. Neither removes anything that its own layer adds, wherever that is in the tar.
 * Directories are merged; any other entry replaces the one at its path.
 *
 * Where umoci and podman differ, the result is that of podman: a whiteout makes the directories
 * above it, and a file of a lower layer gives way to a directory in which an entry lies. If podman
 * differs by storage driver, the result is that of `vfs` and umoci, which unpack one layer over the
 * other: symlinks above the last component of a name are followed within the root, a directory
 * without an entry keeps its attributes, and a hard link may lead to a file of a lower layer.
 * (`overlay` unpacks each layer by itself and fails or hides the lower directory.) Duplicate
 * entries, which podman refuses, are applied in turn, as by umoci.
 */
import { inContext, must, OstrataError } from '../errors.js';
import { isAufsDirectory, parseWhiteout, type Whiteout } from '../oci/whiteout.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import type { IndexedDirectory, IndexedEntry, IndexedLink } from './layer-index.js';
import { pathComponents } from './layer-tar.js';
import {
  type Attributes,
  applyWhiteout,
  DEFAULT_ATTRIBUTES,
  type DirectoryNode,
  followPath,
  isDirectory,
  type Leaf,
  type Node,
} from './layered-nodes.js';
import { childPath } from './path.js';
import type { TreePath } from './tree.js';

/** Most rounds in which links that come before their files are made. */
const MAX_ROUNDS = 40;

/** A link whose file did not come before it. */
interface WaitingLink {
  readonly link: IndexedLink;
  /** What was at its path then. */
  readonly before: Node | undefined;
}

/**
 * Limit for the characters of all paths together, several times what the largest systems have. A
 * symlink that leads to a long path makes every short name below it long.
 */
const MAX_PATHS_LENGTH = 1 << 29;

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
    hiddenBy: -1,
    children: new Map(),
  };
  #entryCount = 1;

  /**
   * Applies the entries of layer number `layer`, in the order of its tar. Hard links may come
   * before the file that they name, as in a derived layer that is pulled.
   */
  addLayer(layer: number, entries: readonly IndexedEntry[]): void {
    const waiting: WaitingLink[] = [];
    for (const entry of entries) {
      inContext(`entry ${JSON.stringify(entry.name)}`, () => {
        if (!this.#add(layer, entry) && entry.type === 'link') {
          waiting.push({ link: entry, before: this.#at(layer, entry.name) });
        }
      });
    }
    this.#addLateLinks(layer, waiting);
  }

  /** Returns whether it was added; a link to a file that is not there yet is not. */
  #add(layer: number, entry: IndexedEntry): boolean {
    const components = pathComponents(entry.name);
    const name = components.pop();
    if (name === undefined) {
      this.#setRoot(layer, entry);
      return true;
    }

    const whiteout = parseWhiteout(name);
    if (whiteout !== undefined) {
      this.#applyWhiteout(whiteout, components, layer);
      return true;
    }
    const parent = this.#enter(layer, components);
    if (entry.type === 'directory') {
      this.#putDirectory(parent, name, layer, attributesOf(entry));
      return true;
    }
    const leaf = entry.type === 'link' ? this.#linked(entry) : { source: layer, entry };
    if (leaf !== undefined) {
      this.#put(parent, name, { leaf, layer });
    }
    return leaf !== undefined;
  }

  /**
   * Applies the whiteout in the directory at `path`. umoci writes whiteouts below a file that has
   * replaced a directory: they are of nothing.
   */
  #applyWhiteout(whiteout: Whiteout, path: readonly string[], layer: number): void {
    const parent = followPath(this.#root, path, (above, name) => {
      const isFile = above.children.get(name)?.layer === layer;
      return isFile ? undefined : this.#makeParent(above, name, layer);
    });
    if (parent !== undefined) {
      applyWhiteout(whiteout, parent, layer);
    }
  }

  /** Adds links whose files came after them; some may be links to each other. */
  #addLateLinks(layer: number, links: readonly WaitingLink[]): void {
    let waiting = links;
    for (let round = 0; waiting.length > 0; round++) {
      const missing = waiting.filter((link) => !this.#addLateLink(layer, link));
      const [first] = missing;
      if (first !== undefined && (missing.length === waiting.length || round === MAX_ROUNDS)) {
        const { name, target } = first.link;
        const place = `entry ${JSON.stringify(name)}`;
        const rule = `is a link to ${target}, which is not a file of the layer or below it`;
        throw new OstrataError('CORRUPT', `${place}: ${rule}`);
      }
      // A chain of links, each before the file that it names, ends in one round.
      waiting = missing.reverse();
    }
  }

  /** Adds a link unless a later entry has replaced it. Returns whether its file is there. */
  #addLateLink(layer: number, { link, before }: WaitingLink): boolean {
    const existing = this.#at(layer, link.name);
    const isReplaced = existing !== before && existing?.layer === layer;
    return isReplaced ? this.#linked(link) !== undefined : this.#add(layer, link);
  }

  #at(layer: number, path: string): Node | undefined {
    const components = pathComponents(path);
    const last = components.pop() ?? '';
    return this.#enter(layer, components).children.get(last);
  }

  #setRoot(layer: number, entry: IndexedEntry): void {
    if (entry.type !== 'directory') {
      throw new OstrataError('CORRUPT', 'is the root of the image and not a directory');
    }
    this.#root.attributes = attributesOf(entry);
    this.#root.layer = layer;
  }

  #putDirectory(parent: DirectoryNode, name: string, layer: number, attributes: Attributes): void {
    const existing = parent.children.get(name);
    if (isDirectory(existing)) {
      existing.attributes = attributes;
      existing.layer = layer;
    } else {
      this.#create(parent, name, layer, attributes);
    }
  }

  /** Returns the file that a hard link leads to, of its layer or a lower one, if it is there. */
  #linked({ name, target }: IndexedLink): Leaf | undefined {
    const components = pathComponents(target);
    if (components.join('/') === pathComponents(name).join('/')) {
      throw new OstrataError('CORRUPT', 'is a link to itself');
    }
    const last = components.pop() ?? '';
    const node = followPath(this.#root, components, () => undefined)?.children.get(last);
    return isDirectory(node) ? undefined : node?.leaf;
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
    let pathsLength = 0;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [path, node] = next;
      pathsLength += path.length;
      if (pathsLength > MAX_PATHS_LENGTH) {
        throw new OstrataError('LIMIT', `paths of more than ${MAX_PATHS_LENGTH} characters`);
      }
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
    const make = (parent: DirectoryNode, name: string) => this.#makeParent(parent, name, layer);
    return must(followPath(this.#root, path, make), 'directory');
  }

  /** Adds a directory that no entry lists. */
  #makeParent(parent: DirectoryNode, name: string, layer: number): DirectoryNode {
    if (parent.children.get(name)?.layer === layer) {
      throw new OstrataError('CORRUPT', `lies below ${name}, which its layer has as a file`);
    }
    return this.#create(parent, name, layer, DEFAULT_ATTRIBUTES);
  }

  #create(
    parent: DirectoryNode,
    name: string,
    layer: number,
    attributes: Attributes,
  ): DirectoryNode {
    const children = new Map<string, Node>();
    const directory = { attributes, layer, hiddenBy: layer, children };
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

function attributesOf({ mode, uid, gid, mtime, xattrs }: IndexedDirectory): Attributes {
  return { mode, uid, gid, mtime, xattrs };
}
