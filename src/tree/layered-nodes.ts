/** The nodes of a tree that layers are laid over: how paths and whiteouts apply to them. */
import { OstrataError } from '../errors.js';
import type { Whiteout } from '../oci/whiteout.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { NO_XATTRS } from '../ostree/objects/xattr-list.js';
import type { IndexedContent, IndexedDirectory, IndexedSpecial } from './layer-index.js';
import { MAX_SYMLINKS } from './lookup.js';

export type Attributes = Pick<IndexedDirectory, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>;

/** A file, symlink or special file; all its hard links share one. */
export interface Leaf {
  /** The index of the layer that has its content. */
  readonly source: number;
  readonly entry: IndexedContent | IndexedSpecial;
}

interface LeafNode {
  readonly leaf: Leaf;
  /** The layer that put it here. */
  readonly layer: number;
}

export interface DirectoryNode {
  attributes: Attributes;
  /** The last layer with an entry for the directory. */
  layer: number;
  /** The last layer that has hidden what lower layers have in it. */
  hiddenBy: number;
  readonly children: Map<string, Node>;
}

export type Node = LeafNode | DirectoryNode;

/** Attributes of a directory that exists only because entries lie below it. */
export const DEFAULT_ATTRIBUTES: Attributes = {
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
  xattrs: NO_XATTRS,
};

/** Limit for directories in directories: no path of PATH_MAX, 4096 bytes, is deeper. */
const MAX_DEPTH = 2048;

export function isDirectory(node: Node | undefined): node is DirectoryNode {
  return node !== undefined && 'children' in node;
}

/**
 * Returns the directory at `path`; symlinks are followed within `root`. Throws `LIMIT` for too many
 * symlinks or too deep a directory.
 * @param instead returns the directory to go on with where there is none; undefined gives up
 */
export function followPath(
  root: DirectoryNode,
  path: readonly string[],
  instead: (parent: DirectoryNode, name: string) => DirectoryNode | undefined,
): DirectoryNode | undefined {
  /** Components that are still to be followed, the next one last. */
  const pending = path.toReversed();
  const parents: DirectoryNode[] = [];
  let directory = root;
  let links = 0;

  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '..') {
      directory = parents.pop() ?? root;
      continue;
    }

    const child = directory.children.get(name);
    const target = linkTarget(child);
    if (target !== undefined) {
      links++;
      checkLimit(links, MAX_SYMLINKS, 'symlinks in its directories');
      if (target.startsWith('/')) {
        parents.length = 0;
        directory = root;
      }
      pending.push(...targetComponents(target).reverse());
      continue;
    }

    const next = isDirectory(child) ? child : instead(directory, name);
    if (next === undefined) {
      return undefined;
    }
    parents.push(directory);
    checkLimit(parents.length, MAX_DEPTH, 'directories in each other');
    directory = next;
  }
  return directory;
}

function checkLimit(count: number, limit: number, what: string): void {
  if (count > limit) {
    throw new OstrataError('LIMIT', `more than ${limit} ${what}`);
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

export function applyWhiteout(whiteout: Whiteout, parent: DirectoryNode, layer: number): void {
  switch (whiteout.kind) {
    case 'opaque':
      hideChildren(parent, layer);
      break;
    case 'removal':
      hide(parent, whiteout.name, layer);
      break;
    case 'aufs':
      break;
  }
}

/**
 * Removes whatever layers below `layer` have at `name`. A directory in which `layer` has something
 * stays, with the attributes that `layer` gives it.
 */
function hide(parent: DirectoryNode, name: string, layer: number): void {
  const node = parent.children.get(name);
  if (isDirectory(node)) {
    hideChildren(node, layer);
  }
  if (node === undefined || node.layer === layer) {
    return;
  }
  if (isDirectory(node) && node.children.size > 0) {
    node.attributes = DEFAULT_ATTRIBUTES;
    node.layer = layer;
  } else {
    parent.children.delete(name);
  }
}

/** A second whiteout of a layer finds nothing: the time does not depend on how many there are. */
function hideChildren(directory: DirectoryNode, layer: number): void {
  if (directory.hiddenBy === layer) {
    return;
  }
  directory.hiddenBy = layer;
  for (const name of directory.children.keys()) {
    hide(directory, name, layer);
  }
}
