/** What images say of themselves, and what a new build takes from a previous one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { previousFromImage, previousFromManifest } from '../../src/builder/previous.js';
import { collect } from '../../src/bytes/stream.js';
import { readEncapsulated } from '../../src/image/encapsulated.js';
import { silentLogger } from '../../src/log.js';
import { chainId } from '../../src/oci/chain-id.js';
import { sha256Digest } from '../../src/oci/json.js';
import type { Component } from '../../src/plugin.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { memoryImage } from '../support/memory-image.js';
import { scratchDirectory } from '../support/scratch.js';

const layers = ['commit', 'one', 'two', 'three'].map((text) => Buffer.from(text));
const component = (name: string): Component => ({
  id: `${name}.id`,
  name,
  source: name,
  size: 1,
  changesPerYear: 1,
  version: '1',
});

function warningLog() {
  const warnings: string[] = [];
  return { warnings, log: { ...silentLogger, warn: (message: string) => warnings.push(message) } };
}

test('the first layer is the commit layer, and those after the final diff_id are derived', async () => {
  const image = memoryImage({ layers });
  const final = { labels: { 'ostree.final-diffid': image.manifest.layers[2]?.digest } };
  const kinds = async (change: object) =>
    (await readEncapsulated(memoryImage({ layers, ...change }), silentLogger)).layers.map(
      ({ kind }) => kind,
    );
  assert.deepEqual(await kinds({}), ['commit', 'chunk', 'chunk', 'chunk']);
  assert.deepEqual(await kinds(final), ['commit', 'chunk', 'chunk', 'derived']);
});

test('an image that is not encapsulated is refused with the label that is missing or wrong', async () => {
  const read = (labels: Record<string, string | undefined>) =>
    readEncapsulated(memoryImage({ layers, labels }), silentLogger);
  await assert.rejects(read({ 'ostree.final-diffid': undefined }), {
    code: 'UNSUPPORTED',
    message: /no label ostree\.final-diffid/,
  });
  await assert.rejects(read({ 'ostree.final-diffid': 'sha256:0' }), {
    code: 'CORRUPT',
    message: /sha256:0, which is no diff_id/,
  });
  const fewer = memoryImage({ layers, config: { rootfs: { type: 'layers', diff_ids: [] } } });
  await assert.rejects(readEncapsulated(fewer, silentLogger), {
    code: 'CORRUPT',
    message: /4 layers in the manifest, 0 diff_ids/,
  });
});

test('names of components come from annotations of ostree or chunkah, else from the history', async () => {
  const image = memoryImage({
    layers,
    layerAnnotations: [
      undefined,
      { 'ostree.components': 'bash,a%2Cb' },
      { 'org.chunkah.component': 'rpm/glibc rpm/zlib' },
    ],
    config: {
      history: [
        { created_by: 'the commit' },
        { created_by: 'x', empty_layer: true },
        { created_by: 'x' },
        {},
        { created_by: 'chunkah', comment: 'rpm/a rpm/b' },
      ],
    },
  });
  const read = await readEncapsulated(image, silentLogger);
  assert.deepEqual(
    read.layers.map(({ names }) => names),
    [[], ['bash', 'a,b'], ['rpm/glibc', 'rpm/zlib'], ['rpm/a', 'rpm/b']],
  );
  assert.equal(read.layers[0]?.createdBy, 'the commit');
});

test('in an image of another tool, the names of components give the layout, and no layer has a key', async () => {
  const { warnings, log } = warningLog();
  const layerAnnotations = [
    undefined,
    { 'ostree.components': 'bash,zlib' },
    { 'ostree.components': 'glibc,gone' },
    { 'ostree.components': '' },
  ];
  const previous = await previousFromImage(memoryImage({ layers, layerAnnotations }), log);
  assert.deepEqual(previous.recordFor(['zlib', 'glibc', 'bash', 'new'].map(component)), {
    layers: [
      { components: ['bash.id', 'zlib.id'] },
      { components: ['glibc.id'] },
      { components: [] },
    ],
    fromOtherTool: true,
  });
  assert.equal(previous.byKey.size, 0);
  assert.equal(previous.byDiffId.size, layers.length);
  assert.deepEqual(warnings, [
    'memory:image was made by another tool: its layout is followed by component names',
    'previous layout: 1 names fit no component of this tree and are ignored',
  ]);
});

test('the layout record is read from labels or, if they are lost, from annotations', async () => {
  const { image, plan } = await buildImage(dir({ a: dir({ x: '1' }), b: dir({ x: '2' }) }), {
    compression: { name: 'none', level: 0 },
  });
  const { 'ostrata.layout': record, ...labels } = (await readEncapsulated(image, silentLogger))
    .labels;
  const tars = await Promise.all(
    image.manifest.layers.map((layer) => collect(image.blob(layer), layer.size)),
  );
  const unlabeled = memoryImage({
    layers: tars,
    labels,
    annotations: { 'ostrata.layout': record ?? '' },
  });
  for (const each of [image, unlabeled]) {
    const previous = await previousFromImage(each, silentLogger);
    const prior = previous.recordFor(plan.components);
    assert.deepEqual(
      prior.layers.map(({ components }) => components),
      [['a'], ['b']],
    );
    assert.deepEqual(
      [...(prior.versions ?? [])].map(([id]) => id),
      ['a', 'b'],
    );
    assert.equal(previous.byKey.size, 3);
  }
});

test('a layout record that does not fit the layers gives the layout but no keys', async () => {
  const chain = chainId(layers.map(sha256Digest));
  for (const [id, count, isKnown] of [
    [chain, 3, true],
    [chain, 2, false],
    // Laid out anew by a tool that kept the label, into as many layers.
    [chainId(layers.toReversed().map(sha256Digest)), 3, false],
    [undefined, 3, false],
  ] as const) {
    const { warnings, log } = warningLog();
    const recorded = ['a', 'b', 'c'].slice(0, count).map((name) => ({ ids: [name], key: name }));
    const record = JSON.stringify({
      version: 1,
      chainId: id,
      commitKey: 'commit',
      layers: recorded,
    });
    const previous = await previousFromImage(
      memoryImage({ layers, labels: { 'ostrata.layout': record } }),
      log,
    );
    assert.deepEqual([...previous.byKey.keys()], isKnown ? ['commit', 'a', 'b', 'c'] : []);
    const prior = previous.recordFor([]);
    assert.equal(prior.fromOtherTool ?? false, !isKnown);
    assert.deepEqual(
      prior.layers.map(({ components }) => components),
      recorded.map(({ ids }) => ids),
    );
    assert.equal(/layout record describes other layers/.test(warnings.join()), !isKnown);
  }
});

test('the chain id is computed as in the OCI specification', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => `sha256:${name.repeat(64)}`) as [
    string,
    string,
    string,
  ];
  const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  assert.equal(chainId([a]), a);
  assert.equal(chainId([a, b, c]), sha256(`${sha256(`${a} ${b}`)} ${c}`));
});

test('a manifest without its image gives the layout, from its record or from names of components', async () => {
  const path = join(scratchDirectory(), 'manifest.json');
  const { image } = await buildImage(dir({ a: dir({ x: '1' }) }));
  writeFileSync(path, image.manifestBytes);
  const own = await previousFromManifest(path, silentLogger);
  assert.deepEqual(
    own.recordFor([]).layers.map(({ components }) => components),
    [['a']],
  );
  assert.deepEqual([own.image, own.byKey.size, own.byDiffId.size], [undefined, 0, 0]);
  writeFileSync(
    path,
    memoryImage({ layers, layerAnnotations: [undefined, { 'ostree.components': 'bash' }] })
      .manifestBytes,
  );
  const other = await previousFromManifest(path, silentLogger);
  assert.deepEqual(other.recordFor([component('bash')]).layers, [
    { components: ['bash.id'] },
    { components: [] },
    { components: [] },
  ]);
  writeFileSync(path, '{');
  await assert.rejects(previousFromManifest(path, silentLogger), {
    code: 'CORRUPT',
    message: new RegExp(`previous build manifest ${path}: image manifest: not JSON`),
  });
  await assert.rejects(previousFromManifest(`${path}.none`, silentLogger), { code: 'NOT_FOUND' });
});
