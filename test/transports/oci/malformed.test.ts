// OCI image layouts and archives that are damaged, or in which other programs have written.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Digest } from '../../../src/oci/json.js';
import { validateImage } from '../../../src/oci/validate.js';
import { encodeTarHeader } from '../../../src/tar/header.js';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import { buildImage } from '../../support/build-image.js';
import { dir } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

/** A layout with one image, tagged x. */
async function layout() {
  const directory = join(scratchDirectory(), 'image');
  const { image } = await buildImage(dir({ a: dir({ x: '1' }) }), { imgref: `oci:${directory}:x` });
  return {
    directory,
    image,
    blob: ({ digest }: { digest: string }) => join(directory, 'blobs', digest.replace(':', '/')),
  };
}
const read = (directory: string) => JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
const write = (directory: string, index: unknown) =>
  writeFileSync(join(directory, 'index.json'), JSON.stringify(index));

test('a missing, truncated or modified manifest or config is refused by its digest', async () => {
  for (const part of ['manifest', 'config'] as const) {
    const { directory, image, blob } = await layout();
    const digest = part === 'manifest' ? image.manifestDigest : image.manifest.config.digest;
    const file = blob({ digest });
    const open = async () => (await openImage(`oci:${directory}:x`)).config();
    const bytes = readFileSync(file);
    writeFileSync(
      file,
      bytes.map((byte, i) => (i === 9 ? byte ^ 1 : byte)),
    );
    await assert.rejects(open(), {
      code: 'CORRUPT',
      message: new RegExp(`reading oci:.*: blob ${digest}: has the digest`),
    });
    truncateSync(file, 9);
    await assert.rejects(open(), {
      code: 'CORRUPT',
      message: new RegExp(`blob ${digest}: 9 bytes instead of ${bytes.length}`),
    });
    rmSync(file);
    await assert.rejects(open(), {
      code: 'NOT_FOUND',
      message: new RegExp(`reading oci:.* lacks blobs/${digest.replace(':', '/')}`),
    });
  }
});

test('reading a missing layer fails with NOT_FOUND', async () => {
  const { directory, image, blob } = await layout();
  const [, layer] = image.manifest.layers;
  rmSync(blob(layer ?? { digest: '' }));
  await assert.rejects(validateImage(await openImage(`oci:${directory}`)), {
    code: 'NOT_FOUND',
    message: new RegExp(`layer 1 .*${layer?.digest.slice(7)}`),
  });
});

test('an empty or damaged index is refused, and writing leaves nothing behind', async () => {
  const { directory } = await layout();
  const open = () => openImage(`oci:${directory}`);
  const index = read(directory);
  write(directory, { ...index, manifests: [] });
  await assert.rejects(open(), { code: 'NOT_FOUND', message: /no image in .*image/ });
  write(directory, {
    ...index,
    manifests: [{ ...index.manifests[0], digest: 'sha256:../../../etc/passwd' }],
  });
  await assert.rejects(open(), { code: 'CORRUPT', message: /manifests\.0\.digest/ });
  writeFileSync(join(directory, 'index.json'), '{');
  await assert.rejects(open(), { code: 'CORRUPT', message: /reading oci:.*image index: not JSON/ });
  await assert.rejects(createImage(`oci:${directory}`), {
    code: 'CORRUPT',
    message: /preparing .*image index: not JSON/,
  });
  assert.deepEqual(
    readdirSync(directory).sort(),
    ['blobs', 'index.json', 'oci-layout'],
    'nothing is left behind',
  );
});

test('unknown members and entries of an index survive the writing of an image', async () => {
  const { directory } = await layout();
  const other = {
    mediaType: 'application/x',
    digest: sha256Digest(Buffer.from('x')),
    size: 1,
    artifactType: 'sbom',
  };
  const index = { ...read(directory), annotations: { who: 'me' }, extra: 1 };
  write(directory, { ...index, manifests: [other, ...index.manifests] });
  const { image } = await buildImage(dir({ a: dir({ x: '2' }) }), { imgref: `oci:${directory}:x` });
  const after = read(directory);
  assert.deepEqual([after.annotations, after.extra, after.manifests[0]], [{ who: 'me' }, 1, other]);
  assert.deepEqual(
    after.manifests.slice(1).map(({ digest }: { digest: string }) => digest),
    [image.manifestDigest],
  );
});

test('a directory with other files is not written into', async () => {
  const directory = scratchDirectory();
  writeFileSync(join(directory, 'mine'), '');
  await assert.rejects(
    createImage(`oci:${directory}`),
    /preparing .*not empty and is not an OCI image layout/,
  );
  assert.deepEqual(readdirSync(directory), ['mine']);
});

test('an empty directory can be the destination and remains after discard', async () => {
  const directory = scratchDirectory();
  const writer = await createImage(`oci:${directory}`);
  await writer.discard();
  assert.deepEqual(readdirSync(directory), []);
});

test('a truncated archive and a file that is no archive are refused', async () => {
  const file = join(scratchDirectory(), 'image.tar');
  await buildImage(dir({ a: dir({ x: '1' }) }), { imgref: `oci-archive:${file}` });
  truncateSync(file, 3000);
  await assert.rejects(openImage(`oci-archive:${file}`), {
    code: 'CORRUPT',
    message: /reading oci-archive:.*not a tar archive/,
  });
  writeFileSync(file, 'no archive '.repeat(100));
  await assert.rejects(openImage(`oci-archive:${file}`), {
    code: 'CORRUPT',
    message: /reading oci-archive:.*not a tar archive/,
  });
});

test('an archive packed by GNU tar, with ./ before the names, is read', needs('tar'), async () => {
  const { directory, image } = await layout();
  const file = join(scratchDirectory(), 'image.tar');
  execFileSync('tar', ['-cf', file, '-C', directory, '.']);
  const read = await openImage(`oci-archive:${file}:x`);
  assert.equal(read.manifestDigest, image.manifestDigest);
  await validateImage(read);
});

test('GNU tar unpacks our archive to the same layout', needs('tar'), async () => {
  const file = join(scratchDirectory(), 'image.tar');
  const { image } = await buildImage(dir({ a: dir({ x: '1' }) }), {
    imgref: `oci-archive:${file}:x`,
  });
  const directory = scratchDirectory();
  execFileSync('tar', ['-xf', file, '-C', directory]);
  assert.equal((await openImage(`oci:${directory}:x`)).manifestDigest, image.manifestDigest);
  assert.deepEqual(readdirSync(directory).sort(), ['blobs', 'index.json', 'oci-layout']);
});

test('several images can be written to a new layout at the same time', async () => {
  const { image } = await layout();
  const directory = join(scratchDirectory(), 'shared');
  const tags = ['a', 'b', 'c'];
  const writers = await Promise.all(tags.map((tag) => createImage(`oci:${directory}:${tag}`)));
  const config = await image.config();
  await Promise.all(
    writers.map(async (writer) => {
      for (const descriptor of image.manifest.layers) {
        await writer.mountBlob(descriptor, image);
      }
      await writer.commit({ config, manifest: image.manifestBytes, platform: undefined });
    }),
  );
  for (const tag of tags) {
    await validateImage(await openImage(`oci:${directory}:${tag}`));
  }
});

test('opening an archive reads only its headers and skips the content', async () => {
  const file = join(scratchDirectory(), 'image.tar');
  const { image } = await buildImage(dir({ a: dir({ x: '1' }) }), {
    imgref: `oci-archive:${file}`,
  });
  const archive = readFileSync(file);
  const size = 2 ** 36; // a hole; read whole it would take a minute
  const header = encodeTarHeader({
    name: 'large',
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
  });
  const fd = openSync(file, 'r+');
  writeSync(fd, header, 0, header.length, 0);
  writeSync(fd, archive, 0, archive.length, header.length + size);
  closeSync(fd);
  const start = performance.now();
  assert.equal((await openImage(`oci-archive:${file}`)).manifestDigest, image.manifestDigest);
  assert.ok(performance.now() - start < 5000);
});
