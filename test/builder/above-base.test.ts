/** Images that keep the layers of a base image, made of random layers and read again. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { planPlainImage, writePlainImage } from '../../src/builder/build.js';
import type { MtimeRule } from '../../src/builder/mtimes.js';
import { silentLogger } from '../../src/log.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { openImageTree } from '../../src/tree/image.js';
import { openBase } from '../../src/tree/kept-base.js';
import { imageLayers } from '../../src/tree/layer-source.js';
import { openSpooledImage } from '../../src/tree/spooled-image.js';
import { byTopDirectory, separate } from '../support/build-image.js';
import { describeTree } from '../support/describe-tree.js';
import { forgePlain } from '../support/forge-image.js';
import { type Layer, randomLayers, sound } from '../support/random-layers.js';
import { scratchDirectory } from '../support/scratch.js';

const context = { log: silentLogger, signal: new AbortController().signal };

/** Builds the image of `layers` again, of which the first `baseCount` are kept. */
async function rebuild(layers: readonly Layer[], baseCount: number, rule: MtimeRule) {
  const image = await openImage(forgePlain(layers).imgref);
  const baseImage = await openImage(forgePlain(layers.slice(0, baseCount)).imgref);
  const source = await imageLayers(image);
  const base = await openBase(baseImage, source);
  const tree = await openSpooledImage(source, { ...context, base, jobs: 1 });
  const plan = await planPlainImage({
    ...context,
    tree,
    mtimes: { rule },
    sources: [byTopDirectory],
    strategy: separate,
    maxLayers: 20,
  });
  const imgref = `oci:${join(scratchDirectory(), 'image')}`;
  const compression = { name: 'none', level: 0 } as const;
  await writePlainImage(plan, await createImage(imgref), { ...context, compression, jobs: 1 });
  tree.close?.();
  return { image, baseImage, built: await openImage(imgref) };
}

for (const rule of ['packaged', 'keep'] as const) {
  test(`an image above a base has the tree of the image it is made from (${rule})`, async () => {
    const property = fc.asyncProperty(randomLayers, fc.nat(), async (random, seed) => {
      const layers = await sound(random);
      const baseCount = 1 + (seed % (layers.length - 1));
      const { image, baseImage, built } = await rebuild(layers, baseCount, rule);

      const [expected, actual] = await Promise.all(
        [image, built].map((each) => openImageTree(each)),
      );
      assert(expected !== undefined && actual !== undefined);
      const hasTimes = rule === 'keep';
      assert.deepEqual(describeTree(actual, hasTimes), describeTree(expected, hasTimes));
      const kept = built.manifest.layers.slice(0, baseCount);
      assert.deepEqual(kept, baseImage.manifest.layers);
    });
    await fc.assert(property, { numRuns: 8 });
  });
}

const file = (name: string, mtime: number) => ({
  name,
  type: 'file' as const,
  content: Buffer.from('1'),
  mtime,
});

test('two files do not become names of one file of the base', async () => {
  const linked: Layer = [file('a', 0), { name: 'b', type: 'link', linkname: 'a' }];
  const { image, built } = await rebuild([linked, [file('b', 0)]], 1, 'keep');
  const [expected, actual] = [await openImageTree(image), await openImageTree(built)];
  assert.deepEqual(describeTree(actual, true), describeTree(expected, true));
});

test('a file that was only touched is written again if its time counts', async () => {
  const layers = [[file('a', 10)], [file('a', 20)]];
  for (const [rule, layerCount] of [
    ['packaged', 1],
    ['keep', 2],
  ] as const) {
    const { built } = await rebuild(layers, 1, rule);
    assert.equal(built.manifest.layers.length, layerCount, rule);
  }
});
