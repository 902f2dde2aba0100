/** `ostrata layout simulate IMAGE..`: what updates cost, and what is read to find it out. */
import assert from 'node:assert/strict';
import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { type Image, readImage } from '../../support/read-image.js';
import { repoRoot } from '../../support/root.js';
import { ostrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const Update = v.object({
  from: v.string(),
  to: v.string(),
  lag: v.number(),
  layers: v.number(),
  bytes: v.number(),
  planned: v.array(v.object({ strategy: v.string(), maxLayers: v.number(), bytes: v.number() })),
});
const Report = v.object({ updates: v.array(Update) });

const directory = join(scratchDirectory(), 'image');
const tags = ['1', '2', '3'];
const references = tags.map((tag) => `oci:${directory}:${tag}`);
const images: Image[] = [];

function build(tag: string, repo: string, previous: string | undefined): void {
  const args = [
    'container-encapsulate',
    `--repo=${join(repoRoot, 'rpmdb-fixtures/sample', repo)}`,
    '--max-layers=12',
    '--quiet',
  ];
  if (previous !== undefined) {
    args.push(`--previous-build=oci:${directory}:${previous}`);
  }
  ostrata([...args, 'sample/os', `oci:${directory}:${tag}`]);
  images.push(readImage(directory, tag));
}

/** The layers that only the later image has, as the manifests say. */
function added(from: number, to: number) {
  const known = new Set(images[from]?.manifest.layers.map(({ digest }) => digest));
  const layers = images[to]?.manifest.layers ?? [];
  return layers.filter(({ digest }) => !known.has(digest));
}

function simulate(...args: readonly string[]) {
  const json = ostrata(['layout', 'simulate', '--json', '--quiet', ...args, ...references]);
  return parseJson(json, Report).updates;
}

suite('layout simulate of images', () => {
  before(() => {
    build('1', 'old', undefined);
    build('2', 'new', '1');
    build('3', 'old', '2');
  });

  test('says what each update cost by the manifests, beside each planned layout', () => {
    const updates = simulate('--lag=1,2', '--strategy=expected-download,single');
    assert.deepEqual(
      updates.map(({ lag }) => lag),
      [1, 1, 2],
    );
    const pairs = [added(0, 1), added(1, 2), added(0, 2)];
    for (const [i, layers] of pairs.entries()) {
      const size = layers.reduce((sum, layer) => sum + layer.size, 0);
      assert.equal(updates[i]?.layers, layers.length);
      assert.equal(updates[i]?.bytes, size);
    }
    assert.ok((updates[0]?.bytes ?? 0) > 0);
    const [planned, single] = updates[0]?.planned ?? [];
    assert.equal(single?.strategy, 'single');
    assert.ok((planned?.bytes ?? 0) < (single?.bytes ?? 0));
  });

  test('reads no layer but those of the commit and of the database', () => {
    const expected = simulate();
    for (const { manifest } of images) {
      for (const { digest, annotations } of manifest.layers.slice(1)) {
        const names = annotations?.['ostree.components']?.split(',') ?? [];
        const path = join(directory, 'blobs', digest.replace(':', '/'));
        if (!names.includes('rpmdb') && existsSync(path)) {
          unlinkSync(path);
        }
      }
    }
    assert.deepEqual(simulate(), expected);
  });

  test('prints a table that names the layouts', () => {
    const text = ostrata(['layout', 'simulate', '--quiet', ...references]);
    assert.match(text, /FROM +TO +NEW LAYERS +PUBLISHED +expected-download\/64/);
    assert.match(text, /PUBLISHED: compressed bytes/);
  });
});
