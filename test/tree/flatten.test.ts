/** Layers that are laid over each other, beside a model, and layers that are made to be harmful. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FlattenedImage, flattenLayers } from '../../src/tree/flatten.js';
import type { IndexedEntry } from '../../src/tree/layer-index.js';
import { OverlayModel, Refused } from '../support/overlay-model.js';

const attributes = { uid: 0, gid: 0, mtime: 0, xattrs: new Map() };
const checksum = '0'.repeat(64);

const directory = (name: string, mode = 0o755): IndexedEntry => ({
  type: 'directory',
  name,
  ...attributes,
  mode: 0o40000 | mode,
});
const file = (name: string, offset = 0): IndexedEntry => ({
  type: 'file',
  name,
  ...attributes,
  mode: 0o100644,
  size: 1,
  checksum,
  contentDigest: checksum,
  offset,
});
const symlink = (name: string, target: string, offset = 0): IndexedEntry => ({
  type: 'symlink',
  name,
  ...attributes,
  mode: 0o120777,
  target,
  checksum,
  offset,
});
const link = (name: string, target: string): IndexedEntry => ({ type: 'link', name, target });

type Layers = readonly (readonly IndexedEntry[])[];

const component = fc.constantFrom('a', 'b', 'c');
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const target = fc
  .array(fc.constantFrom('a', 'b', '..'), { minLength: 1, maxLength: 3 })
  .chain((parts) => fc.constantFrom(parts.join('/'), `/${parts.join('/')}`));
const whiteout = path.map((name) => name.replace(/[^/]*$/, '.wh.$&'));
const opaque = path.map((name) => name.replace(/[^/]*$/, '.wh..wh..opq'));

const entry: fc.Arbitrary<IndexedEntry> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(path, fc.constantFrom(0o700, 0o711)).map((a) => directory(...a)),
  },
  { weight: 4, arbitrary: path.map((name) => file(name)) },
  { weight: 1, arbitrary: fc.tuple(path, target).map((a) => symlink(...a)) },
  { weight: 2, arbitrary: fc.tuple(path, path).map((a) => link(...a)) },
  { weight: 2, arbitrary: whiteout.map((name) => file(name)) },
  { weight: 1, arbitrary: opaque.map((name) => file(name)) },
  { weight: 1, arbitrary: whiteout.map((name) => directory(name)) },
  { weight: 1, arbitrary: path.map((name): IndexedEntry => ({ type: 'special', name })) },
);
const layersOfEntries = fc
  .array(fc.array(entry, { maxLength: 8 }), { minLength: 1, maxLength: 4 })
  .map((layers) => layers.map((entries) => entries.map(withOffset)));

/** The offset tells the entries of a layer apart. */
function withOffset(each: IndexedEntry, offset: number): IndexedEntry {
  return 'offset' in each ? { ...each, offset } : each;
}

/** What is at each path, and which paths are names of one file. */
function shownTree({ files, sources, specialFiles }: FlattenedImage) {
  const shown = new Map<string, unknown>();
  for (const path of specialFiles.keys()) {
    shown.set(path.slice(1), 'special');
  }
  const names = new Map<string, string[]>();
  for (const each of files) {
    shown.set(each.path.slice(1), sources.get(each.path)?.entry ?? each.mode);
    if (each.type !== 'directory' && each.inode !== undefined) {
      names.set(each.inode, [...(names.get(each.inode) ?? []), each.path.slice(1)]);
    }
  }
  return { shown, linked: [...names.values()].map((each) => each.sort().join()).sort() };
}

function shownModel({ nodes }: OverlayModel) {
  const shown = new Map<string, unknown>();
  const names = new Map<IndexedEntry, string[]>();
  for (const [each, { entry: of }] of nodes) {
    if (of === undefined || of.type === 'directory') {
      shown.set(each, of?.mode ?? 0o40755);
      continue;
    }
    shown.set(each, of.type === 'special' ? 'special' : of);
    if (of.type !== 'special') {
      names.set(of, [...(names.get(of) ?? []), each]);
    }
  }
  const linked = [...names.values()].filter((each) => each.length > 1);
  return { shown, linked: linked.map((each) => each.sort().join()).sort() };
}

test('layers of any entries make the tree of the model, and what it refuses is refused', () => {
  let refusals = 0;
  const property = (layers: Layers) => {
    const model = new OverlayModel();
    const accepted: IndexedEntry[][] = [];
    for (const [layer, entries] of layers.entries()) {
      const kept: IndexedEntry[] = [];
      accepted.push(kept);
      for (const each of entries) {
        try {
          model.apply(layer, each);
          kept.push(each);
        } catch (error) {
          assert.ok(error instanceof Refused, String(error));
          const refused = [...accepted.slice(0, -1), [...kept, each]];
          assert.throws(() => flattenLayers(refused), { name: 'OstrataError' });
          refusals++;
        }
      }
    }
    assert.deepEqual(shownTree(flattenLayers(accepted)), shownModel(model));
  };
  fc.assert(fc.property(layersOfEntries, property), { seed: 16, numRuns: 3000 });
  assert.ok(refusals > 100, `only ${refusals} entries were refused`);
});

test('a hard link before its file replaces what its layer has before the link only', () => {
  const namesOf = (entries: readonly IndexedEntry[]) => shownTree(flattenLayers([entries])).linked;
  assert.deepEqual(namesOf([file('a', 1), link('a', 'b'), file('b', 2)]), ['a,b']);
  assert.deepEqual(namesOf([link('a', 'b'), file('b', 1), file('a', 2)]), []);
  for (const entries of [
    [link('a', 'b'), file('a')],
    [file('a'), link('a', 'b')],
  ]) {
    assert.throws(() => flattenLayers([entries]), {
      code: 'CORRUPT',
      message: /entry "a": is a link to b, which is not a file/,
    });
  }
});

/** A name of directories in each other. */
const deep = (depth: number, name = 'd'): string => Array(depth).fill(name).join('/');

test('a path as deep as a path can be is in the tree, and symlinks make none that is deeper', () => {
  const { files } = flattenLayers([[file(deep(2047))]]);
  assert.equal(files.size, 2048);
  const chain = Array.from({ length: 39 }, (_, i) => symlink(`s${i}`, `s${i + 1}/${deep(60)}`));
  assert.throws(() => flattenLayers([[...chain, symlink('s39', deep(1)), file('s0/x')]]), {
    code: 'LIMIT',
    message: /"s0\/x": more than 2048 directories in each other$/,
  });
});

test('a symlink that makes short names long does not fill the memory', () => {
  const below = Array.from({ length: 140_000 }, (_, i) => file(`s/${i}`, i));
  const layers = [[symlink('s', deep(16, 'n'.repeat(250))), ...below]];
  assert.throws(() => flattenLayers(layers), {
    code: 'LIMIT',
    message: /^paths of more than 536870912 characters$/,
  });
});

test('whiteouts by the hundred thousand take no longer than other entries', () => {
  const count = 200_000;
  const files = Array.from({ length: count }, (_, i) => file(`a/${i}`, i));
  const whiteouts = [file('a/.wh..wh..opq'), file('.wh.a')];
  const repeated = Array.from({ length: count }, (_, i) => whiteouts[i % 2] ?? assert.fail());
  const { files: left } = flattenLayers([[file('a/old')], [...files, ...repeated]]);
  assert.equal(left.size, count + 2);
});
