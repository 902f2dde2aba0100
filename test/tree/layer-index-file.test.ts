/** The binary form of layer indexes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OstrataError } from '../../src/errors.js';
import { XattrsInterner } from '../../src/ostree/objects/xattr-list.js';
import type { IndexedEntry } from '../../src/tree/layer-index.js';
import { decodeLayerIndex, encodeLayerIndex } from '../../src/tree/layer-index-file.js';

const attributes = {
  mode: 0o100644,
  uid: 0,
  gid: 4_294_967_295,
  mtime: -1,
  xattrs: new Map([['user.x', new Uint8Array([0, 255])]]),
};
const digest = 'ab'.repeat(32);
const ENTRIES: readonly IndexedEntry[] = [
  { type: 'directory', name: './', ...attributes, mtime: 2 ** 40, xattrs: new Map() },
  {
    type: 'file',
    name: 'usr/ü',
    ...attributes,
    size: 2 ** 40,
    checksum: digest,
    contentDigest: '01'.repeat(32),
    offset: 512,
    extents: [{ offset: 4096, length: 2 ** 33 }],
  },
  {
    type: 'file',
    name: 'empty',
    ...attributes,
    size: 0,
    checksum: digest,
    contentDigest: digest,
    offset: 2 ** 41,
    extents: undefined,
  },
  {
    type: 'symlink',
    name: 'link',
    ...attributes,
    target: '../x',
    checksum: digest,
    offset: 0,
  },
  { type: 'link', name: 'hard', target: 'empty' },
  { type: 'special', name: 'dev/null' },
];

test('what is encoded is decoded', () => {
  const bytes = encodeLayerIndex(ENTRIES);
  assert.deepEqual(decodeLayerIndex(bytes, new XattrsInterner()), ENTRIES);
});

test('damaged bytes are an OstrataError or other entries, and nothing else', () => {
  const bytes = encodeLayerIndex(ENTRIES);
  for (let at = 0; at < bytes.length; at++) {
    for (const change of [1, 128]) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ change;
      assertBounded(damaged);
    }
    assertBounded(bytes.slice(0, at));
  }
});

function assertBounded(bytes: Uint8Array): void {
  try {
    decodeLayerIndex(bytes, new XattrsInterner());
  } catch (error) {
    assert.ok(error instanceof OstrataError, String(error));
  }
}
