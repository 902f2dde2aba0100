import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import fc from 'fast-check';
import { fromColumns, toColumns } from '../../src/blobs/columns.js';
import type { LayerSpec } from '../../src/layers/layer-spec.js';
import type { LayerObject } from '../../src/layers/spec.js';
import { fileType } from '../../src/ostree/objects/file.js';
import { sha256Hex } from '../../src/ostree/objects/object-name.js';
import type { TreePath } from '../../src/tree/tree.js';

const xattrSets = [
  new Map(),
  new Map([['user.a', new Uint8Array([1])]]),
  new Map([['user.a', new Uint8Array([1])]]),
];
const attributes = fc.record({
  uid: fc.integer({ min: 0, max: 2 }),
  gid: fc.integer({ min: 0, max: 2 }),
  xattrs: fc.constantFrom(...xattrSets),
});
const path = fc.string({ minLength: 1 }).map((name): TreePath => `/${name.replaceAll('\0', '')}`);

const object = fc
  .record({
    paths: fc.array(path, { minLength: 1, maxLength: 3 }),
    attributes,
    mode: fc.constantFrom(0o100644, 0o100755, 0o120777),
    size: fc.nat(),
  })
  .map(({ paths, attributes, mode, size }): LayerObject => {
    const type = fileType(mode);
    const xattrsBytes = new Uint8Array([attributes.uid]);
    const info = { ...attributes, type, mode, xattrsBytes };
    return {
      checksum: sha256Hex(Buffer.from(paths.join())),
      paths,
      info: type === 'file' ? { ...info, size } : { ...info, size: 0, target: `${paths}` },
    };
  });

const directories = fc
  .array(fc.tuple(path, attributes, fc.constantFrom(0o40755, 0o40700)))
  .map((entries) => new Map(entries.map(([name, rest, mode]) => [name, { ...rest, mode }])));

test('a layer spec is the same after it was posted to a thread', () => {
  fc.assert(
    fc.property(fc.array(object), directories, fc.nat(), (objects, directories, contentSize) => {
      const spec: LayerSpec = {
        kind: 'chunk',
        objects,
        formatVersion: 2,
        directories,
        contentSize,
      };
      assert.deepEqual(fromColumns(deserialize(serialize(toColumns(spec)))), spec);
    }),
  );
});
