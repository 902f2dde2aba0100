/** What plain images, which hold no ostree commit, say of themselves, and how they are verified. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { compareImages } from '../../src/image/compare.js';
import { describeImage, readEncapsulated } from '../../src/image/encapsulated.js';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import { chainId } from '../../src/oci/chain-id.js';
import { type ForgedEntry, writeTar } from '../support/forge-image.js';
import { type MemoryImage, memoryImage } from '../support/memory-image.js';

const file = (name: string, content = ''): ForgedEntry => ({
  name,
  type: 'file',
  content: Buffer.from(content),
});

/** A plain image with one layer for each list of entries. */
function plainImage(layers: readonly (readonly ForgedEntry[])[], more: Partial<MemoryImage> = {}) {
  const labels = { 'ostree.final-diffid': undefined, ...more.labels };
  return memoryImage({ layers: layers.map(writeTar), ...more, labels });
}

const chunkah = (names: string, stability: string) => ({
  'org.chunkah.component': names,
  'org.chunkah.stability': stability,
});

suite('a plain image', () => {
  test('has plain layers with the components and rates that chunkah states', async () => {
    const image = plainImage([[file('a')], [file('b')], [file('c')], [file('d')]], {
      layerAnnotations: [
        chunkah('rpm/bash rpm/glibc', '0.500'),
        undefined,
        undefined,
        chunkah('rpm/x', 'wrong'),
      ],
      config: {
        history: [
          { created_by: 'chunkah', comment: 'rpm/bash rpm/glibc' },
          { created_by: '/bin/sh -c make', comment: 'not shown' },
          { comment: 'a comment alone' },
          {},
        ],
      },
    });
    const { layers } = await describeImage(image, silentLogger);
    assert.deepEqual(
      layers.map(({ kind, names, createdBy }) => ({ kind, names, createdBy })),
      [
        { kind: 'plain', names: ['rpm/bash', 'rpm/glibc'], createdBy: 'chunkah' },
        { kind: 'plain', names: [], createdBy: '/bin/sh -c make' },
        { kind: 'plain', names: [], createdBy: 'a comment alone' },
        { kind: 'plain', names: ['rpm/x'], createdBy: '' },
      ],
    );
    const rates = layers.map(({ changesPerYear }) => changesPerYear?.toFixed(1));
    assert.deepEqual(rates, ['36.1', undefined, undefined, undefined]);
    await assert.rejects(readEncapsulated(image, silentLogger), { code: 'UNSUPPORTED' });
  });

  test('has a layout record whose layers are all of its layers', async () => {
    const { layers } = await describeImage(plainImage([[file('a')], [file('b')]]), silentLogger);
    const record = (chain: string) =>
      JSON.stringify({
        version: 1,
        chainId: chain,
        layers: [
          { ids: ['first'], key: 'k1' },
          { ids: ['second'], key: 'k2' },
        ],
      });
    const recorded = async (chain: string) => {
      const labels = { 'ostrata.layout': record(chain) };
      const image = plainImage([[file('a')], [file('b')]], { labels });
      const described = await describeImage(image, silentLogger);
      return described.layers.map((layer) => layer.recorded?.components);
    };
    const chain = chainId(layers.map(({ diffId }) => diffId));
    assert.deepEqual(await recorded(chain), [['first'], ['second']]);
    assert.deepEqual(await recorded('sha256:0'), [undefined, undefined]);
  });

  test('is refused if it has no layers', async () => {
    await assert.rejects(describeImage(plainImage([]), silentLogger), {
      code: 'CORRUPT',
      message: /lists no layers/,
    });
  });
});

test('two plain images are compared by diff_id, and their components by name', async () => {
  const images = [
    plainImage([[file('a')], [file('b')], [file('c')]], {
      layerAnnotations: [chunkah('rpm/a', '1'), chunkah('rpm/b', '1'), chunkah('rpm/c', '1')],
    }),
    plainImage([[file('a')], [file('b', 'new')], [file('d')]], {
      layerAnnotations: [chunkah('rpm/a', '1'), chunkah('rpm/b', '1'), chunkah('rpm/d', '1')],
    }),
    plainImage([[file('a')]]),
  ].map((image) => describeImage(image, silentLogger));
  const [previous, current, unnamed] = await Promise.all(images);
  assert.ok(previous && current && unnamed);

  const compared = compareImages(previous, current);
  assert.deepEqual(
    compared.added.map(({ index }) => index),
    [1, 2],
  );
  assert.equal(compared.removed.length, 2);
  assert.deepEqual(compared.changes, [
    { id: 'rpm/c', change: 'removed' },
    { id: 'rpm/d', change: 'added' },
  ]);
  assert.equal(compareImages(unnamed, current).changes, undefined);
});

test('of equal layers, a comparison of images lists only the first', async () => {
  const describe = (...names: readonly string[]) =>
    describeImage(plainImage(names.map((name) => [file(name)])), silentLogger);
  const previous = await describe('a', 'old', 'old');
  const current = await describe('a', 'a', 'new', 'new');

  const { added, removed } = compareImages(previous, current);
  assert.deepEqual(
    added.map(({ index }) => index),
    [2],
  );
  assert.equal(removed.length, 1);
});

suite('verify of a plain image', () => {
  const verify = (...layers: readonly (readonly ForgedEntry[])[]) =>
    verifyImage(plainImage(layers), silentLogger);

  test('counts its layers, and finds neither a commit nor objects', async () => {
    const verified = await verify(
      [file('etc/a'), { name: 'usr/l', type: 'link', linkname: 'etc/a' }],
      [file('etc/.wh.a'), file('usr/.wh..wh..opq'), { name: 'dev/null', type: 'character device' }],
    );
    assert.deepEqual(verified, {
      layers: 2,
      derivedLayers: 0,
      plainLayers: 2,
      checked: [
        {
          kind: 'plain',
          layers: 2,
          checks: ['size', 'digest', 'diff_id', 'tar archive', 'paths', 'whiteouts', 'hard links'],
        },
      ],
      metadataObjects: 0,
      contentObjects: 0,
      paths: 0,
    });
  });

  test('refuses what clients cannot pull, with the layer and the entry', async () => {
    const cases: readonly (readonly [ForgedEntry, RegExp])[] = [
      [file('usr/.wh.'), /usr\/\.wh\..*names no file/],
      [file('usr/../../etc/x'), /leaves the image/],
      [{ name: 'usr/l', type: 'link', linkname: 'usr/none' }, /which the layer does not have/],
      [{ name: 'usr/f', type: 'fifo' }, /is a fifo, which ostree cannot store/],
      [file('etc'), /needs a directory \/etc/],
    ];
    for (const [entry, message] of cases) {
      const pattern = new RegExp(`^layer 1 .*${message.source}`, 's');
      await assert.rejects(verify([file('usr/a')], [entry]), { message: pattern });
    }
    const noTar = memoryImage({
      layers: [Buffer.from('no tar')],
      labels: { 'ostree.final-diffid': undefined },
    });
    await assert.rejects(verifyImage(noTar, silentLogger), { code: 'CORRUPT' });
  });

  test('refuses a layer that does not have its diff_id', async () => {
    const wrong = { rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] } };
    await assert.rejects(verifyImage(plainImage([[file('a')]], { config: wrong }), silentLogger), {
      code: 'CORRUPT',
      message: /^layer 0 .*diff_id: stated sha256:0/,
    });
  });
});
