// Manifests, indexes and configs that break their format.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OCI_CONFIG, OCI_LAYER } from '../../src/oci/media-types.js';
import { MAX_JSON_SIZE, parseConfig, parseIndex, parseManifest } from '../../src/oci/types.js';

const digest = `sha256:${'a'.repeat(64)}`;
const layer = { mediaType: OCI_LAYER, digest, size: 1 };
const manifest = { schemaVersion: 2, config: { ...layer, mediaType: OCI_CONFIG }, layers: [layer] };
const config = {
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [digest] },
};
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

test('minimal documents are accepted, with null for empty members as Go writes them', () => {
  assert.deepEqual(parseManifest(json(manifest)), manifest);
  assert.deepEqual(parseIndex(json({ schemaVersion: 2, manifests: [] })).manifests, []);
  assert.equal(parseConfig(json({ ...config, config: null, history: null })).history, null);
  assert.equal(
    parseConfig(json({ ...config, config: { Labels: null, Env: ['A=b'] } })).config?.Labels,
    null,
  );
});

test('a broken rule is refused, naming the member', () => {
  const cases: [(bytes: Uint8Array) => unknown, unknown, RegExp][] = [
    [parseManifest, { ...manifest, schemaVersion: 1 }, /image manifest: schemaVersion: /],
    [
      parseManifest,
      { ...manifest, layers: [{ ...layer, digest: 'sha256:../../x' }] },
      /layers\.0\.digest: expected sha256: and 64 hex/,
    ],
    [parseManifest, { ...manifest, layers: [{ ...layer, size: -1 }] }, /layers\.0\.size/],
    [parseManifest, { ...manifest, layers: [{ ...layer, size: 1.5 }] }, /layers\.0\.size/],
    [parseManifest, { ...manifest, layers: Array(1025).fill(layer) }, /layers: /],
    [parseManifest, { ...manifest, annotations: { a: 1 } }, /annotations\.a: /],
    [parseManifest, [], /image manifest: /],
    [parseIndex, { schemaVersion: 2 }, /image index: manifests: /],
    [parseManifest, { ...manifest, manifests: [] }, /manifests: a manifest cannot have/],
    [parseIndex, { ...manifest, manifests: [] }, /layers: an index cannot have/],
    [
      parseConfig,
      { ...config, rootfs: { type: 'layers', diff_ids: ['x'] } },
      /rootfs\.diff_ids\.0: /,
    ],
    [parseConfig, { ...config, config: { Labels: { a: null } } }, /config\.Labels\.a: /],
  ];
  for (const [parse, value, message] of cases) {
    assert.throws(() => parse(json(value)), { code: 'CORRUPT', message });
  }
});

test('unknown media types and layers with URLs are not supported', () => {
  const cases: [object, RegExp][] = [
    [
      { config: { ...layer, mediaType: 'application/x' } },
      /config is of media type application\/x/,
    ],
    [
      { layers: [layer, { ...layer, mediaType: 'application/x' }] },
      /layer 1 is of media type application\/x/,
    ],
    [
      { layers: [{ ...layer, urls: ['https://example.org/layer'] }] },
      /layer 0 is to be fetched from elsewhere/,
    ],
  ];
  for (const [change, message] of cases) {
    assert.throws(() => parseManifest(json({ ...manifest, ...change })), {
      code: 'UNSUPPORTED',
      message,
    });
  }
});

test('documents that are not JSON, not UTF-8 or too long are refused', () => {
  for (const bytes of [Buffer.from(''), Buffer.from('{'), Buffer.from([0x22, 0xff, 0x22])]) {
    assert.throws(() => parseManifest(bytes), {
      code: 'CORRUPT',
      message: /image manifest: not JSON/,
    });
  }
  assert.throws(() => parseIndex(Buffer.alloc(MAX_JSON_SIZE + 1, ' ')), {
    code: 'LIMIT',
    message: /image index of 8388609 bytes/,
  });
});

test('names that every object has are no media types', () => {
  for (const mediaType of ['constructor', '__proto__', 'toString']) {
    for (const change of [
      { layers: [{ ...layer, mediaType }] },
      { config: { ...layer, mediaType } },
    ]) {
      assert.throws(() => parseManifest(json({ ...manifest, ...change })), {
        code: 'UNSUPPORTED',
        message: new RegExp(`of media type ${mediaType}$`),
      });
    }
  }
});

test('a config of more than 64 levels is refused, also in members that are not read', () => {
  let deep: unknown = 1;
  for (let level = 0; level < 64; level++) {
    deep = { deep };
  }
  assert.throws(() => parseConfig(json({ ...config, deep })), {
    code: 'LIMIT',
    message: 'image config: JSON with more than 64 levels',
  });
});
