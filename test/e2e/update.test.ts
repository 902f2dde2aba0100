/** An update after a previous build keeps the layers whose components did not change. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { type Build, blobPath, encapsulate, namesOf } from '../support/read-image.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { type World, world, worldNeeds } from '../support/world.js';

/** The components that differ: one updated package, one added package, and the database. */
const CHANGED = ['added', 'hard-links', 'rpmdb'];

const digests = ({ image }: Build) => new Set(image.manifest.layers.map(({ digest }) => digest));
const hasChanged = (components: readonly string[]) =>
  namesOf(components).some((name) => CHANGED.includes(name));

for (const maxLayers of [5, 64]) {
  suite(`an update with at most ${maxLayers} layers`, needs(...worldNeeds), () => {
    let given: World;
    let scratch: string;
    let old: Build;
    let updated: Build;
    const limit = `--max-layers=${maxLayers}`;

    before(async () => {
      given = await world();
      scratch = scratchDirectory();
      old = encapsulate(given.repo, 'os/old', join(scratch, 'old'), [limit]);
      const previous = `--previous-build=${old.image.reference}`;
      updated = encapsulate(given.repo, 'os/new', join(scratch, 'new'), [limit, previous]);
    });

    test('only the commit layer and layers with a changed component are new', () => {
      const before = digests(old);
      const [commitLayer, ...chunks] = updated.result.layers;
      assert.ok(commitLayer && !before.has(commitLayer.digest));
      assert.ok(chunks.length < maxLayers);
      for (const { digest, components, reused } of chunks) {
        assert.equal(before.has(digest), !hasChanged(components), `${components}`);
        assert.equal(reused, before.has(digest), `${components}`);
      }
      const named = namesOf(chunks.flatMap(({ components }) => components));
      for (const name of CHANGED) {
        assert.ok(named.includes(name), `a layer holds ${name}`);
      }
      assert.ok(!named.includes('no-files'));
    });

    test('the table shows the bytes to download and the packages that cause them', () => {
      const before = digests(old);
      const fetched = updated.image.manifest.layers.filter(({ digest }) => !before.has(digest));
      const bytes = fetched.reduce((sum, { size }) => sum + size, 0);
      const previous = `--previous-build=${old.image.reference}`;
      const target = `oci:${join(scratch, 'table')}:x`;
      const args = [
        'container-encapsulate',
        `--repo=${given.repo}`,
        limit,
        previous,
        'os/new',
        target,
      ];
      const { stdout: table, stderr } = tryOstrata(args);
      assert.ok(!stderr.includes('ignored'), `the previous build is understood: ${stderr}`);
      assert.ok(table.includes(updated.image.manifestDigest), table);
      assert.ok(
        table.replaceAll(/(?<=\d)[,_ ](?=\d{3})/g, '').includes(String(bytes)),
        `${bytes} bytes in: ${table}`,
      );
      for (const name of CHANGED) {
        assert.ok(table.includes(name), `${name} in: ${table}`);
      }
    });

    test('a rebuild of the same commit changes nothing', () => {
      const previous = `--previous-build=${updated.image.reference}`;
      const again = encapsulate(given.repo, 'os/new', join(scratch, 'again'), [limit, previous]);
      assert.deepEqual(digests(again), digests(updated));
      assert.ok(again.result.layers.every(({ reused }) => reused));
    });

    test('--previous-build-manifest keeps the layout without the image', () => {
      const manifest = blobPath(old.image.directory, old.image.manifestDigest);
      const kept = encapsulate(given.repo, 'os/new', join(scratch, 'manifest'), [
        limit,
        `--previous-build-manifest=${manifest}`,
      ]);
      const before = digests(old);
      for (const [index, { digest, components }] of kept.result.layers.entries()) {
        if (index > 0) {
          assert.equal(before.has(digest), !hasChanged(components), `${components}`);
        }
      }
      const added = kept.result.layers.filter(({ digest }) => !before.has(digest));
      assert.equal(kept.result.update?.layers, added.length, 'what clients download');

      const dryRun = ['container-encapsulate', '--dry-run', `--repo=${given.repo}`, limit];
      const follow = `--previous-build-manifest=${manifest}`;
      const report = ostrata([...dryRun, follow, 'os/new', 'oci:not-written']);
      assert.match(report, /\nWhat a client of .* downloads is known once its layers are written/);
      assert.doesNotMatch(report, /downloads \d/);
    });

    test('a previous layer is kept whatever compressor made it', () => {
      const plain = encapsulate(given.repo, 'os/old', join(scratch, 'plain'), [
        limit,
        '--compression=none',
      ]);
      const mixed = encapsulate(given.repo, 'os/new', join(scratch, 'mixed'), [
        limit,
        `--previous-build=${plain.image.reference}`,
      ]);
      for (const [index, { reused, components }] of mixed.result.layers.entries()) {
        if (index > 0) {
          assert.equal(reused, !hasChanged(components), `${components}`);
        }
        const mediaType = mixed.image.manifest.layers[index]?.mediaType ?? '';
        assert.equal(mediaType.endsWith('.tar'), reused, mediaType);
      }
    });

    test('a reused layer whose blob is missing is made anew, with a warning', () => {
      const broken = encapsulate(given.repo, 'os/old', join(scratch, 'broken'), [limit]);
      const kept = updated.result.layers.find(({ reused }) => reused);
      assert.ok(kept);
      rmSync(blobPath(broken.image.directory, kept.digest));
      const result = tryOstrata([
        'container-encapsulate',
        `--repo=${given.repo}`,
        limit,
        `--previous-build=${broken.image.reference}`,
        'os/new',
        `oci:${join(scratch, 'from-broken')}:x`,
      ]);
      assert.equal(result.status, 0);
      const digest = kept.digest.slice('sha256:'.length, 20);
      assert.match(result.stderr, new RegExp(`warning: .*${digest}.*; the layer is made anew`));
    });
  });
}

test('--compare-with-build shows what differs', needs(...worldNeeds), async () => {
  const { repo } = await world();
  const scratch = scratchDirectory();
  const old = encapsulate(repo, 'os/old', join(scratch, 'old'));
  const target = join(scratch, 'new');
  const compare = `--compare-with-build=${old.image.reference}`;
  const table = ostrata([
    'container-encapsulate',
    `--repo=${repo}`,
    compare,
    'os/new',
    `oci:${target}:x`,
  ]);
  const index = JSON.parse(readFileSync(join(target, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[];
  };
  assert.ok(table.includes(index.manifests[0]?.digest ?? '?'), table);
  for (const name of CHANGED) {
    assert.ok(table.includes(name), `${name} in: ${table}`);
  }
  // Comparing must not change the image.
  const without = encapsulate(repo, 'os/new', join(scratch, 'without'));
  assert.equal(index.manifests[0]?.digest, without.image.manifestDigest);
});
