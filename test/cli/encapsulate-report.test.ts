/** The report of `container-encapsulate` in a dry run, on small images. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  jsonReport,
  plannedLayers,
  updateReport,
} from '../../src/cli/container/encapsulate-report.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';

const tree = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b1' }) });
const changedTree = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b2' }) });
const first = await buildImage(tree);

test('a dry run on an unchanged commit names no layers to download', async () => {
  const { plan } = await buildImage(tree, { previous: first.image });
  const layers = plannedLayers(plan);
  assert.ok(layers.every(({ reused }) => reused));
  const size = first.image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  const total = size.toLocaleString('en-US');
  assert.equal(
    updateReport(plan, layers, 'oci:first'),
    `\nA client of oci:first downloads 0 of 3 layers: 0 of ${total} bytes (0.0 %)`,
  );
});

test('a dry run on a changed commit names each layer to download and the reason', async () => {
  const { plan } = await buildImage(changedTree, { previous: first.image });
  const lines = updateReport(plan, plannedLayers(plan), 'oci:first').split('\n');
  assert.deepEqual(lines.slice(1), [
    'A client of oci:first downloads 2 of 3 layers: 2 of 4 bytes of content (50.0 %), because',
    '  layer 0 (0 B): the commit changed',
    '  layer 2 (2 B): b changed',
  ]);
});

test('a layer that is new only because of its format names no component as the cause', async () => {
  const options = { previous: first.image, formatVersion: 1 } as const;
  const { plan } = await buildImage(tree, options);
  const report = updateReport(plan, plannedLayers(plan), 'oci:first');
  assert.match(report, /layer 1 .*: a directory above its files .* or the layer format changed$/m);
  assert.doesNotMatch(report, /come from layers that changed/);
});

test('the JSON of a dry run has the digests of reused layers only', async () => {
  const { plan } = await buildImage(changedTree, { previous: first.image });
  const build = { imgref: 'oci:second', previousName: 'oci:first', warnings: ['w'] };
  const report = JSON.parse(
    JSON.stringify(jsonReport(plan, plannedLayers(plan), undefined, build)),
  );
  const [, reusedLayer] = first.image.manifest.layers;
  assert.equal('manifestDigest' in report, false);
  assert.deepEqual(
    report.layers.map(({ digest }: { readonly digest?: string }) => digest),
    [undefined, reusedLayer?.digest, undefined],
  );
});
