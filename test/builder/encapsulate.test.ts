/** The pipeline over small trees; on real ones, judged by real programs, it is tested in `test/e2e`. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Compression } from '../../src/blobs/compress.js';
import { planImage, writeImage } from '../../src/builder/encapsulate.js';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { type BuildOptions, buildImage, byTopDirectory, separate } from '../support/build-image.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const before = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b1' }), c: dir({ x: 'c1' }) });
const after = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b2' }), d: dir({ x: 'd1' }) });
const reused = ({ written }: Awaited<ReturnType<typeof buildImage>>) =>
  written.layers.map(({ chunk, reused }) => [chunk?.components[0]?.id ?? 'commit', reused]);

test('what did not change keeps its descriptor, by whatever level it was compressed', async () => {
  const first = await buildImage(before, { compression: { name: 'gzip', level: 1 } });
  const second = await buildImage(after, {
    previous: first.image,
    compression: { name: 'none', level: 1 },
  });
  assert.deepEqual(reused(second), [
    ['commit', false],
    ['a', true],
    ['b', false],
    ['d', false],
  ]);
  assert.deepEqual(second.image.manifest.layers[1], first.image.manifest.layers[1]);
  assert.deepEqual(second.plan.changes, [
    { id: 'b', change: 'changed' },
    { id: 'c', change: 'removed' },
    { id: 'd', change: 'added' },
  ]);
  rmSync(first.imgref.replace('oci:', ''), { recursive: true });
  await verifyImage(second.image, silentLogger);
});

test('the same commit again is the same image, of which no layer is written', async () => {
  const first = await buildImage(before);
  const told: string[] = [];
  const log = { ...silentLogger, info: (message: string) => told.push(message) };
  const again = await buildImage(before, { previous: first.image, log });
  assert.match(told.join('\n'), /4 layers are known from earlier builds, 0 are to be written/);
  assert.deepEqual(reused(again), [
    ['commit', true],
    ['a', true],
    ['b', true],
    ['c', true],
  ]);
  assert.deepEqual(again.image.manifest.layers, first.image.manifest.layers);
});

test('a layer of the same bytes is reused without a record of it', async () => {
  const first = await buildImage(before);
  const config = JSON.parse(Buffer.from(await first.image.config()).toString());
  delete config.config.Labels['ostrata.layout'];
  const previous = {
    ...first.image,
    config: async () => Buffer.from(JSON.stringify(config)),
    manifest: { ...first.image.manifest, annotations: {} },
  };
  const second = await buildImage(after, { previous, compression: { name: 'gzip', level: 9 } });
  assert.deepEqual(reused(second), [
    ['commit', false],
    ['a', true],
    ['b', false],
    ['d', false],
  ]);
  await verifyImage(second.image, silentLogger);
});

test('a reused layer whose blob is nowhere is an error that leaves nothing', async () => {
  const { image, imgref } = await buildImage(before);
  const digest = image.manifest.layers[1]?.digest ?? '';
  rmSync(join(imgref.replace('oci:', ''), 'blobs', digest.replace(':', '/')));
  const scratch = scratchDirectory();
  const building = buildImage(after, { previous: image, imgref: `oci:${scratch}/image` });
  await assert.rejects(building, {
    code: 'NOT_FOUND',
    message: new RegExp(`taking over blob ${digest}`),
  });
  assert.deepEqual(readdirSync(scratch), []);
});

test('the image depends on the tree and the options alone', async () => {
  const digest = async (options: BuildOptions = {}) =>
    (await buildImage(before, options)).image.manifestDigest;
  const usual = await digest();
  assert.equal(await digest({ jobs: 5 }), usual);
  const others: BuildOptions[] = [
    { formatVersion: 1 },
    { compression: { name: 'none', level: 6 } },
    { labels: { a: 'b' } },
    { commit: { subject: 'other' } },
    { commit: { timestamp: 1 } },
  ];
  for (const options of others) {
    assert.notEqual(await digest(options), usual, JSON.stringify(options));
  }
});

test('every compression and format version gives an image that verifies', async () => {
  const compressions: Compression[] = [
    { name: 'gzip', level: 9 },
    { name: 'none', level: 1 },
  ];
  for (const compression of compressions) {
    for (const formatVersion of [1, 2] as const) {
      await verifyImage(
        (await buildImage(before, { compression, formatVersion })).image,
        silentLogger,
      );
    }
  }
});

async function attempt(
  break_: (repo: RepoBuilder, checksum: string) => void,
  signal = new AbortController().signal,
) {
  const repo = new RepoBuilder('archive', '', scratchDirectory());
  const commit = repo.commit(repo.tree(before));
  const common = { log: silentLogger, signal };
  const plan = await planImage({
    ...common,
    repo: repo.path,
    ref: commit,
    sources: [byTopDirectory],
    strategy: separate,
    maxLayers: 9,
    formatVersion: 2,
  });
  break_(repo, plan.chunks[0]?.spec.objects[0]?.checksum ?? '');
  const scratch = scratchDirectory();
  const writer = await createImage(`oci:${scratch}/image:x`);
  const writing = writeImage(plan, writer, {
    ...common,
    compression: { name: 'gzip', level: 6 },
    jobs: 2,
  });
  return { writing, scratch };
}

test('an object that is missing, damaged or another: one error, nothing left', async () => {
  const faults: [(repo: RepoBuilder, path: string) => void, string][] = [
    [(repo, path) => rmSync(join(repo.path, path)), 'NOT_FOUND'],
    [
      (repo, path) => repo.write(path, readFileSync(join(repo.path, path)).subarray(0, -1)),
      'CORRUPT',
    ],
    [
      (repo, path) =>
        repo.write(
          path,
          readFileSync(
            join(repo.path, 'objects', objectPath(repo.file({ content: 'x1' }), 'filez')),
          ),
        ),
      'CORRUPT',
    ],
  ];
  for (const [fault, code] of faults) {
    let broken = '';
    const { writing, scratch } = await attempt((repo, checksum) => {
      broken = checksum;
      fault(repo, `objects/${objectPath(checksum, 'filez')}`);
    });
    await assert.rejects(
      writing,
      (error: NodeJS.ErrnoException) => error.code === code && error.message.includes(broken),
    );
    assert.deepEqual(readdirSync(scratch), []);
  }
});

test('cancelled: nothing left', async () => {
  const controller = new AbortController();
  const { writing, scratch } = await attempt(() => controller.abort(), controller.signal);
  await assert.rejects(writing, { code: 'CANCELLED' });
  assert.deepEqual(readdirSync(scratch), []);
});

test('a destination that another image is at keeps it when writing fails', async () => {
  const directory = join(scratchDirectory(), 'image');
  mkdirSync(directory);
  const first = await buildImage(before, { imgref: `oci:${directory}:x` });
  const building = buildImage(after, { imgref: `oci:${directory}:x`, copyMeta: ['no.such.key'] });
  await assert.rejects(building, { code: 'NOT_FOUND', message: /no\.such\.key/ });
  assert.equal((await openImage(`oci:${directory}:x`)).manifestDigest, first.image.manifestDigest);
  assert.equal(
    readdirSync(join(directory, 'blobs/sha256')).length,
    first.image.manifest.layers.length + 2,
  );
});
