/** Random layers of plain images: files, links and directories that replace and remove each other. */
import fc from 'fast-check';
import { openImageTree } from '../../src/tree/image.js';
import { type ForgedEntry, writeTar } from './forge-image.js';
import { memoryImage } from './memory-image.js';

export type Layer = readonly ForgedEntry[];

interface Step {
  readonly kind: 'file' | 'symlink' | 'link' | 'directory' | 'whiteout' | 'opaque';
  readonly path: readonly string[];
  readonly target: string;
  readonly mode: number;
  readonly mtime: number;
}

const OPAQUE = '.wh..wh..opq';
const name = fc.constantFrom('a', 'b', 'c', 'd');
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('file', 'file', 'symlink', 'link', 'directory', 'whiteout', 'opaque'),
  path: fc.array(name, { minLength: 1, maxLength: 3 }),
  target: name,
  mode: fc.constantFrom(0o755, 0o700),
  mtime: fc.constantFrom(0, 10, 20),
});

/** Layers of which the lowest removes nothing. Not all of them make a tree: see {@link sound}. */
export const randomLayers: fc.Arbitrary<readonly Layer[]> = fc
  .array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 5 })
  .map((layers) => layers.map(entriesOf).map(opaqueFirst));

/**
 * As tools write layers: with an entry for each directory above the others, and nothing below what
 * the same layer has as a file.
 */
function entriesOf(steps: readonly Step[], layer: number): Layer {
  const entries: ForgedEntry[] = [];
  const directories = new Set<string>();
  const others = new Set<string>();
  const addDirectory = (path: string, { mode, mtime }: Step) => {
    if (!directories.has(path)) {
      directories.add(path);
      entries.push({ name: path, type: 'directory', mode, mtime });
    }
  };
  for (const each of steps) {
    const prefixes = each.path.map((_, i) => each.path.slice(0, i + 1).join('/'));
    if (prefixes.some((prefix) => others.has(prefix)) || directories.has(each.path.join('/'))) {
      continue;
    }
    addDirectory('.', each);
    for (const prefix of prefixes.slice(0, -1)) {
      addDirectory(prefix, each);
    }
    const path = each.path.join('/');
    if (each.kind === 'directory') {
      addDirectory(path, each);
    } else if (layer > 0 || (each.kind !== 'whiteout' && each.kind !== 'opaque')) {
      entries.push(entryOf(each, path));
      if (!['whiteout', 'opaque'].includes(each.kind)) {
        others.add(path);
      }
    }
  }
  return entries;
}

/**
 * Puts opaque whiteouts right behind the entries of their directories, as tools do. Otherwise umoci
 * removes files of lower layers after it has set the times of the directories that they are in.
 */
function opaqueFirst(entries: Layer): Layer {
  const opaque = new Map<string, ForgedEntry>();
  for (const entry of entries) {
    if (entry.name.endsWith(OPAQUE)) {
      opaque.set(entry.name, entry);
    }
  }
  return entries.flatMap((entry) => {
    if (entry.name.endsWith(OPAQUE)) {
      return [];
    }
    const prefix = entry.name === '.' ? '' : `${entry.name}/`;
    const ofDirectory = opaque.get(prefix + OPAQUE);
    return entry.type === 'directory' && ofDirectory !== undefined ? [entry, ofDirectory] : [entry];
  });
}

function entryOf({ kind, target, mode, mtime }: Step, path: string): ForgedEntry {
  const parent = path.slice(0, path.lastIndexOf('/') + 1);
  const last = path.slice(parent.length);
  switch (kind) {
    case 'symlink':
      return { name: path, type: 'symlink', linkname: target, mode: 0o777, mtime };
    case 'link':
      return { name: path, type: 'link', linkname: target };
    case 'whiteout':
      return { name: `${parent}.wh.${last}`, type: 'file', mode: 0 };
    case 'opaque':
      return { name: parent + OPAQUE, type: 'file', mode: 0 };
    default:
      return { name: path, type: 'file', content: Buffer.from(target), mode, mtime };
  }
}

/** Returns the layers without the links and symlinks that lead nowhere. */
export async function sound(layers: readonly Layer[]): Promise<readonly Layer[]> {
  for (const without of [[], ['link'], ['link', 'symlink']]) {
    const kept = layers.map((layer) => layer.filter(({ type }) => !without.includes(type)));
    try {
      await openImageTree(memoryImage({ layers: kept.map(writeTar) }));
      return kept;
    } catch {
      // Fewer links are tried.
    }
  }
  throw new Error('no tree');
}
