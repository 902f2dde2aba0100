/** The whole build of small trees. Real trees, judged by real programs, are in `test/e2e`. */
import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BlobCache } from '../../src/blobs/cache.js';
import type { Compression } from '../../src/blobs/compress.js';
import { type CommitImagePlan, planImage, writeImage } from '../../src/builder/encapsulate.js';
import { must } from '../../src/errors.js';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { blobPath } from '../../src/oci/image-layout.js';
import { DOCKER_CONFIG, DOCKER_MANIFEST } from '../../src/oci/media-types.js';
import type { Manifest } from '../../src/oci/types.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { type BuildOptions, buildImage, byTopDirectory, separate } from '../support/build-image.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { changeManifest } from '../support/forge-image.js';
import { scratchDirectory } from '../support/scratch.js';

const firstTree = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b1' }), c: dir({ x: 'c1' }) });
/** Directory `b` changed, `c` was removed, `d` was added. */
const secondTree = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b2' }), d: dir({ x: 'd1' }) });

/** By the first component of each layer. */
function reusedLayers({ written }: Awaited<ReturnType<typeof buildImage>>): [string, boolean][] {
  return written.layers.map(({ chunk, reused }) => [chunk?.components[0]?.id ?? 'commit', reused]);
}

function directoryOf(imgref: string): string {
  return imgref.replace('oci:', '');
}

test('an unchanged layer keeps its descriptor, however the others are compressed', async () => {
  const first = await buildImage(firstTree, { compression: { name: 'gzip', level: 1 } });
  const second = await buildImage(secondTree, {
    previous: first.image,
    compression: { name: 'none', level: 1 },
  });
  assert.deepEqual(reusedLayers(second), [
    ['commit', false],
    ['a', true],
    ['b', false],
    ['d', false],
  ]);
  assert.deepEqual(second.image.manifest.layers[1], first.image.manifest.layers[1]);
});

/** Replaces an image by one with the same config and layers, but a changed manifest. */
async function withManifest(
  imgref: string,
  change: (manifest: Manifest) => void,
): Promise<ImageReader> {
  changeManifest<Manifest>({ imgref, directory: directoryOf(imgref) }, change);
  return openImage(imgref);
}

/** Gives a manifest the media types of Docker, as `skopeo copy --format v2s2` does. */
function describeAsDocker(manifest: Manifest): void {
  manifest.mediaType = DOCKER_MANIFEST;
  manifest.config.mediaType = DOCKER_CONFIG;
  for (const layer of manifest.layers) {
    layer.mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
  }
}

test('layers of a previous image of Docker become layers of OCI', async () => {
  const first = await buildImage(firstTree);
  const { layers } = first.image.manifest;
  const docker = await withManifest(first.imgref, describeAsDocker);
  await verifyImage(docker, silentLogger);

  for (const previous of [docker, await withoutRecord(docker)]) {
    const { image } = await buildImage(firstTree, { previous });
    assert.deepEqual(image.manifest.layers, layers);
    await verifyImage(image, silentLogger);
  }
});

test('a reused layer of zstd:chunked keeps the annotations that describe its blob', async () => {
  const first = await buildImage(firstTree, { compression: { name: 'zstd', level: 3 } });
  const chunked = {
    'io.github.containers.zstd-chunked.manifest-checksum': `sha256:${'0'.repeat(64)}`,
    'io.github.containers.zstd-chunked.manifest-position': '1:2:3:1',
    'io.containers.zstd-chunked.manifest-position': '1:2:3:1',
  };
  const previous = await withManifest(first.imgref, ({ layers }) => {
    for (const layer of layers) {
      layer.annotations = { ...layer.annotations, ...chunked, other: 'is dropped' };
    }
  });
  const { image } = await buildImage(secondTree, { previous });
  const annotations = image.manifest.layers.map((layer) => layer.annotations);
  assert.deepEqual(annotations, [
    undefined,
    { ...chunked, 'ostree.components': 'a' },
    { 'ostree.components': 'b' },
    { 'ostree.components': 'd' },
  ]);
});

test('the plan tells which components changed since the previous build', async () => {
  const first = await buildImage(firstTree);
  const second = await buildImage(secondTree, { previous: first.image });
  assert.deepEqual(second.plan.changes, [
    { id: 'b', change: 'changed' },
    { id: 'c', change: 'removed' },
    { id: 'd', change: 'added' },
  ]);
});

test('an image does not need its previous build', async () => {
  const first = await buildImage(firstTree);
  const second = await buildImage(secondTree, { previous: first.image });
  rmSync(directoryOf(first.imgref), { recursive: true });
  await verifyImage(second.image, silentLogger);
});

test('an unchanged commit gives the same layers, and none is written', async () => {
  const first = await buildImage(firstTree);
  const messages: string[] = [];
  const log = { ...silentLogger, info: (message: string) => messages.push(message) };
  const again = await buildImage(firstTree, { previous: first.image, log });
  assert.match(messages.join('\n'), /4 layers are known from earlier builds, 0 are to be written/);
  assert.deepEqual(reusedLayers(again), [
    ['commit', true],
    ['a', true],
    ['b', true],
    ['c', true],
  ]);
  assert.deepEqual(again.image.manifest.layers, first.image.manifest.layers);
});

test('the plan of an unchanged commit has the descriptor of every layer', async () => {
  const first = await buildImage(firstTree);
  const { plan } = await buildImage(firstTree, { previous: first.image });
  const digests = [plan.commitLayer, ...plan.chunks].map(
    ({ unchanged }) => unchanged?.descriptor.digest,
  );
  assert.deepEqual(
    digests,
    first.image.manifest.layers.map(({ digest }) => digest),
  );
});

test('the image of a plan has the blobs of the previous build that it names', async () => {
  const first = await buildImage(firstTree);
  const { plan } = await buildImage(secondTree, { previous: first.image });
  const imgref = `oci:${join(scratchDirectory(), 'image')}`;
  await writeImage(plan, await createImage(imgref), {
    compression: { name: 'gzip', level: 6 },
    jobs: 1,
    log: silentLogger,
    signal: new AbortController().signal,
  });
  await verifyImage(await openImage(imgref), silentLogger);
});

/** The image of a builder that lost the layout record of this one. */
async function withoutRecord(image: ImageReader): Promise<ImageReader> {
  const config = JSON.parse(Buffer.from(await image.config()).toString());
  delete config.config.Labels['ostrata.layout'];
  const bytes = Buffer.from(JSON.stringify(config));
  return {
    ...image,
    config: async () => bytes,
    manifest: { ...image.manifest, annotations: {} },
  };
}

test('without a layout record, layers with the same tar are reused', async () => {
  const first = await buildImage(firstTree);
  const second = await buildImage(secondTree, {
    previous: await withoutRecord(first.image),
    compression: { name: 'gzip', level: 9 },
  });
  assert.deepEqual(reusedLayers(second), [
    ['commit', false],
    ['a', true],
    ['b', false],
    ['d', false],
  ]);
  await verifyImage(second.image, silentLogger);
});

test('a missing blob of a reused layer is made anew', async () => {
  const { image, imgref } = await buildImage(firstTree);
  const digest = image.manifest.layers[1]?.digest ?? '';
  rmSync(join(directoryOf(imgref), 'blobs', digest.replace(':', '/')));
  const warnings: string[] = [];
  const second = await buildImage(firstTree, {
    previous: image,
    log: { ...silentLogger, warn: (message: string) => warnings.push(message) },
  });
  assert.match(
    warnings.join('\n'),
    new RegExp(`taking over blob ${digest} of .*; the layer is made anew`),
  );
  assert.deepEqual(second.image.manifest.layers, image.manifest.layers);
  await verifyImage(second.image, silentLogger);
});

/** Changes one byte of a blob within `file`. */
function damageBlob(file: string, blob: Uint8Array): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(blob) + Math.floor(blob.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

/** Builds an image and damages the blob of its layer `a`. */
async function damagedImage(transport: 'oci' | 'oci-archive') {
  const path = join(scratchDirectory(), 'image');
  const imgref = `${transport}:${path}`;
  const { image } = await buildImage(firstTree, { imgref });
  const layer = must(image.manifest.layers[1], 'layer a');
  const blob: Uint8Array[] = [];
  for await (const chunk of image.blob(layer)) {
    blob.push(Buffer.from(chunk));
  }
  const file = transport === 'oci' ? join(path, blobPath(layer.digest)) : path;
  damageBlob(file, Buffer.concat(blob));
  return { image: await openImage(imgref), imgref, layer };
}

/** By what is done with the blob: the transport of the previous build, and the destination. */
const destinations = {
  'that is linked': ['oci', () => undefined],
  'of an archive': ['oci-archive', () => undefined],
  'that the destination has': ['oci', (imgref: string) => imgref],
} as const;

for (const [name, [transport, destination]] of Object.entries(destinations)) {
  test(`a damaged blob of the previous build ${name} is made anew`, async () => {
    const { image: previous, imgref, layer } = await damagedImage(transport);
    const warnings: string[] = [];
    const second = await buildImage(firstTree, {
      previous,
      imgref: destination(imgref),
      log: { ...silentLogger, warn: (message: string) => warnings.push(message) },
    });
    const aboutBlobs = warnings.filter((message) => message.includes('blob'));
    assert.equal(aboutBlobs.length, 1);
    assert.match(
      aboutBlobs[0] ?? '',
      new RegExp(`taking over blob ${layer.digest} of \\S+: .*; the layer is made anew$`),
    );
    assert.deepEqual(second.image.manifest.layers, previous.manifest.layers);
    assert.ok(second.written.layers.every(({ reused }) => reused));
    await verifyImage(second.image, silentLogger);
  });
}

test('a blob that is a symlink in the previous layout is copied', async () => {
  const { image, imgref } = await buildImage(firstTree);
  const layer = must(image.manifest.layers[1], 'layer a');
  const file = join(directoryOf(imgref), blobPath(layer.digest));
  renameSync(file, join(directoryOf(imgref), 'moved'));
  symlinkSync('../../moved', file);

  const second = await buildImage(firstTree, { previous: image });
  const copied = join(directoryOf(second.imgref), blobPath(layer.digest));
  assert.ok(lstatSync(copied).isFile());
  await verifyImage(second.image, silentLogger);
});

test('a damaged blob of the same tar is not taken either', async () => {
  const { image } = await damagedImage('oci');
  const warnings: string[] = [];
  const second = await buildImage(secondTree, {
    previous: await withoutRecord(image),
    compression: { name: 'gzip', level: 9 },
    log: { ...silentLogger, warn: (message: string) => warnings.push(message) },
  });
  assert.match(warnings.at(-1) ?? '', /the layer is made anew$/);
  assert.ok(second.written.layers.every(({ reused }) => !reused));
  await verifyImage(second.image, silentLogger);
});

async function manifestDigest(options: BuildOptions = {}): Promise<string> {
  const { image } = await buildImage(firstTree, options);
  return image.manifestDigest;
}

test('the same tree and options give the same image, for any number of jobs', async () => {
  assert.equal(await manifestDigest({ jobs: 5 }), await manifestDigest({ jobs: 1 }));
});

test('another option or commit gives another image', async () => {
  const usual = await manifestDigest();
  const others: BuildOptions[] = [
    { formatVersion: 1 },
    { compression: { name: 'none', level: 6 } },
    { labels: { a: 'b' } },
    { commit: { subject: 'other' } },
    { commit: { timestamp: 1 } },
  ];
  for (const options of others) {
    assert.notEqual(await manifestDigest(options), usual, JSON.stringify(options));
  }
});

test('images of every compression and format version verify', async () => {
  const compressions: Compression[] = [
    { name: 'gzip', level: 9 },
    { name: 'none', level: 1 },
  ];
  for (const compression of compressions) {
    for (const formatVersion of [1, 2] as const) {
      const { image } = await buildImage(firstTree, { compression, formatVersion });
      await verifyImage(image, silentLogger);
    }
  }
});

/** Plans an image, lets `disturb` do its work, and begins to write the image. */
async function writeDisturbed(
  disturb: (repo: RepoBuilder, plan: CommitImagePlan) => void,
  signal = new AbortController().signal,
) {
  const repo = new RepoBuilder('archive', '', scratchDirectory());
  const context = { log: silentLogger, signal };
  const plan = await planImage({
    ...context,
    repo: repo.path,
    ref: repo.commit(repo.tree(firstTree)),
    sources: [byTopDirectory],
    strategy: separate,
    maxLayers: 9,
    formatVersion: 2,
  });
  disturb(repo, plan);

  const scratch = scratchDirectory();
  const writer = await createImage(`oci:${scratch}/image:x`);
  const compression: Compression = { name: 'gzip', level: 6 };
  const writing = writeImage(plan, writer, { ...context, compression, jobs: 2 });
  return { writing, scratch };
}

test('a signal ends a build between two layers that the cache has', async () => {
  const cacheDirectory = scratchDirectory();
  const context = { log: silentLogger, signal: new AbortController().signal };
  const cache = new BlobCache(cacheDirectory, 1 << 30, silentLogger);
  await buildImage(firstTree, { ...context, cache });

  const interrupt = new AbortController();
  let restoredCount = 0;
  class InterruptingCache extends BlobCache {
    override restore(key: string, path: string) {
      restoredCount += 1;
      setImmediate(() => interrupt.abort());
      return super.restore(key, path);
    }
  }
  const interrupting = new InterruptingCache(cacheDirectory, 1 << 30, silentLogger);
  const building = buildImage(firstTree, { cache: interrupting, signal: interrupt.signal });
  await assert.rejects(building, { code: 'CANCELLED' });
  assert.ok(restoredCount < 3, `${restoredCount} of 4 layers were taken from the cache`);
});

interface Fault {
  readonly name: string;
  readonly code: string;
  /** Damages the object whose file is at `path` in the repository. */
  inflict(repo: RepoBuilder, path: string): void;
}

const faults: readonly Fault[] = [
  {
    name: 'missing',
    code: 'NOT_FOUND',
    inflict: (repo, path) => rmSync(join(repo.path, path)),
  },
  {
    name: 'truncated',
    code: 'CORRUPT',
    inflict: (repo, path) => repo.write(path, readFileSync(join(repo.path, path)).subarray(0, -1)),
  },
  {
    name: 'replaced by another object',
    code: 'CORRUPT',
    inflict(repo, path) {
      const other = objectPath(repo.file({ content: 'x1' }), 'filez');
      repo.write(path, readFileSync(join(repo.path, 'objects', other)));
    },
  },
];

for (const { name, code, inflict } of faults) {
  test(`an object that is ${name} fails the build with an error that names it, and nothing is left`, async () => {
    let checksum = '';
    const { writing, scratch } = await writeDisturbed((repo, { chunks }) => {
      const spec = chunks[0]?.spec;
      checksum = (spec?.kind === 'chunk' && spec.objects[0]?.checksum) || '';
      inflict(repo, `objects/${objectPath(checksum, 'filez')}`);
    });
    await assert.rejects(writing, (error: Error) => {
      assert.equal('code' in error && error.code, code);
      assert.ok(error.message.includes(checksum), error.message);
      return true;
    });
    assert.deepEqual(readdirSync(scratch), []);
  });
}

test('a canceled build leaves nothing', async () => {
  const controller = new AbortController();
  const { writing, scratch } = await writeDisturbed(() => controller.abort(), controller.signal);
  await assert.rejects(writing, { code: 'CANCELLED' });
  assert.deepEqual(readdirSync(scratch), []);
});

test('a failed build leaves the image that is at the destination', async () => {
  const directory = join(scratchDirectory(), 'image');
  mkdirSync(directory);
  const imgref = `oci:${directory}:x`;
  const first = await buildImage(firstTree, { imgref });
  const building = buildImage(secondTree, { imgref, copyMeta: ['no.such.key'] });
  await assert.rejects(building, { code: 'NOT_FOUND', message: /no\.such\.key/ });

  const { manifestDigest, manifest } = first.image;
  assert.equal((await openImage(imgref)).manifestDigest, manifestDigest);
  const blobs = readdirSync(join(directory, 'blobs/sha256'));
  assert.equal(blobs.length, manifest.layers.length + 2, 'layers, config and manifest');
});
