/**
 * A model of how layers are laid over each other, as simple as can be: a map of paths, in which
 * every step looks at all of them. For tests of the code that does it fast.
 */
import type { IndexedEntry } from '../../src/tree/layer-index.js';

/** What is at one path. */
export interface ModelNode {
  /** The entry that put it there; undefined for a directory that no entry lists. */
  readonly entry: IndexedEntry | undefined;
  readonly layer: number;
}

/** Thrown for an entry that cannot be in the tree. */
export class Refused extends Error {}
class BelowFile extends Refused {}

const isDirectory = (node: ModelNode | undefined): boolean =>
  node !== undefined && (node.entry === undefined || node.entry.type === 'directory');

const componentsOf = (text: string): string[] =>
  text.split('/').filter((component) => component !== '' && component !== '.');

/** The tree of a number of layers. Paths have no slash at the beginning; the root is empty. */
export class OverlayModel {
  readonly nodes = new Map<string, ModelNode>([['', { entry: undefined, layer: -1 }]]);

  /** Applies one entry, or throws {@link Refused} and leaves the tree as it was. */
  apply(layer: number, entry: IndexedEntry): void {
    const before = [...this.nodes];
    try {
      this.#apply(layer, entry);
    } catch (error) {
      this.nodes.clear();
      for (const [path, node] of before) {
        this.nodes.set(path, node);
      }
      throw error;
    }
  }

  #apply(layer: number, entry: IndexedEntry): void {
    const isWhiteout = /(^|\/)\.wh\.[^/]*$/.test(entry.name);
    let path: string;
    try {
      path = this.#locate(layer, entry.name);
    } catch (error) {
      if (isWhiteout && error instanceof BelowFile) {
        return;
      }
      throw error;
    }
    const [, above = '', name = ''] = /^(?:(.*)\/)?(.*)$/.exec(path) ?? [];
    if (name === '.wh..wh..opq') {
      this.#hide(above, layer, false);
    } else if (name.startsWith('.wh.')) {
      this.#hide([above, name.slice('.wh.'.length)].filter(Boolean).join('/'), layer, true);
    } else if (entry.type === 'link') {
      const target = this.nodes.get(this.#locate(layer, entry.target));
      const isItself = componentsOf(entry.target).join() === componentsOf(entry.name).join();
      if (target === undefined || isDirectory(target) || isItself) {
        throw new Refused();
      }
      this.#put(path, { entry: target.entry, layer });
    } else {
      this.#put(path, { entry, layer });
    }
  }

  /** Follows symlinks in all components but the last, and makes the directories that are missing. */
  #locate(layer: number, name: string): string {
    let rest = componentsOf(name);
    const last = rest.pop();
    let path: string[] = [];
    for (let links = 0; rest.length > 0; ) {
      const [first = '', ...others] = rest;
      rest = others;
      if (first === '..') {
        path.pop();
        continue;
      }
      const next = [...path, first];
      const node = this.nodes.get(next.join('/'));
      if (node?.entry?.type === 'symlink') {
        links++;
        const { target } = node.entry;
        path = target.startsWith('/') ? [] : path;
        rest = [...componentsOf(target), ...rest];
      } else {
        path = next;
        this.#makeDirectory(path.join('/'), layer);
      }
      if (links > 40) {
        throw new Refused();
      }
    }
    return [...path, ...(last === undefined ? [] : [last])].join('/');
  }

  #makeDirectory(path: string, layer: number): void {
    const node = this.nodes.get(path);
    if (isDirectory(node)) {
      return;
    }
    if (node?.layer === layer) {
      throw new BelowFile();
    }
    this.#put(path, { entry: undefined, layer });
  }

  #put(path: string, node: ModelNode): void {
    if (!(isDirectory(node) && isDirectory(this.nodes.get(path)))) {
      for (const other of this.#below(path)) {
        this.nodes.delete(other);
      }
    }
    this.nodes.set(path, node);
  }

  /** Hides what lower layers have below a path, and at the path itself if `itself` is true. */
  #hide(path: string, layer: number, itself: boolean): void {
    const paths = [...this.#below(path), ...(itself ? [path] : [])];
    for (const each of paths.filter((one) => (this.nodes.get(one)?.layer ?? layer) < layer)) {
      const isNeeded = this.#below(each).some((one) => this.nodes.get(one)?.layer === layer);
      if (isNeeded) {
        this.nodes.set(each, { entry: undefined, layer });
      } else {
        this.nodes.delete(each);
      }
    }
  }

  #below(path: string): string[] {
    return [...this.nodes.keys()].filter(
      (other) => other !== '' && (path === '' || other.startsWith(`${path}/`)),
    );
  }
}
