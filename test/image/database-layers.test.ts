/** Which layers of an image are read, and in which order, to find its package databases. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type DatabaseKind, selectDatabaseLayers } from '../../src/image/database-layers.js';
import type { ReadLayer } from '../../src/image/encapsulated.js';
import type { IndexedEntry } from '../../src/tree/layer-index.js';

const KINDS: readonly DatabaseKind[] = [
  {
    component: 'db',
    fileName: /^db$/,
    isWhole: (files) => files.get('/db') !== undefined,
  },
];

/** A layer that names these components, or none. */
function layer(size: number, ...names: readonly string[]): ReadLayer {
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: '', size };
  return { kind: 'plain', descriptor, diffId: '', createdBy: '', names };
}

/** The entries of a layer with one directory. */
const holding = (name: string): readonly IndexedEntry[] => [
  { type: 'directory', name, mode: 0o40755, uid: 0, gid: 0, mtime: 0, xattrs: new Map() },
];

/** Returns the layers that are read if those in `databases` hold the database. */
function readLayers(layers: readonly ReadLayer[], databases: readonly number[]): readonly number[] {
  const { order, isEnough } = selectDatabaseLayers(layers, KINDS);
  const entries: (readonly IndexedEntry[])[] = layers.map(() => []);
  const read: number[] = [];
  for (const index of order) {
    read.push(index);
    entries[index] = holding(databases.includes(index) ? 'db' : 'other');
    if (isEnough(entries)) {
      break;
    }
  }
  return read;
}

suite('to find a package database, layers are read', () => {
  test('from the topmost down, if none names its components', () => {
    const layers = [layer(9), layer(1), layer(5)];
    assert.deepEqual(readLayers(layers, [0]), [2, 1, 0]);
    assert.deepEqual(readLayers(layers, [0, 1]), [2, 1]);
  });

  test('only where the database is named', () => {
    const layers = [layer(1, 'a'), layer(9, 'db', 'b'), layer(2, 'c')];
    assert.deepEqual(readLayers(layers, [1]), [1]);
  });

  test('all that name it, because parts of it may be in several', () => {
    const layers = [layer(1, 'a'), layer(9, 'db'), layer(2, 'db')];
    assert.deepEqual(readLayers(layers, [1, 2]), [1, 2]);
  });

  test('with those that a container build put on top', () => {
    const layers = [layer(9, 'a'), layer(5, 'db'), layer(3), layer(4)];
    assert.deepEqual(readLayers(layers, [1, 3]), [3, 2, 1]);
  });

  test('the smallest first, if they name other components only, and the base last', () => {
    const layers = [layer(1), layer(9, 'a'), layer(2, 'b'), layer(5, 'c')];
    assert.deepEqual(readLayers(layers, []), [2, 3, 1, 0]);
    assert.deepEqual(readLayers(layers, [3]), [2, 3]);
  });
});
