// Several writers of one image layout: one that fails does not harm the images of the others.
import assert from 'node:assert/strict';
import fs, {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { blobPath } from '../../../src/oci/image-layout.js';
import { canonicalJson, sha256Digest } from '../../../src/oci/json.js';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { validateImage } from '../../../src/oci/validate.js';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import type { FinishedImage, ImageWriter } from '../../../src/transports/transport.js';
import { scratchDirectory } from '../../support/scratch.js';

const layer = Buffer.from('a layer');
const descriptor = { mediaType: OCI_LAYER, digest: sha256Digest(layer), size: layer.length };
const missing = { mediaType: OCI_LAYER, digest: `sha256:${'f'.repeat(64)}`, size: 1 };

/** An image of one layer. `author` makes it differ from others. */
function imageBy(author: string): FinishedImage {
  const platform = { architecture: 'amd64', os: 'linux' };
  const rootfs = { type: 'layers', diff_ids: [descriptor.digest] };
  const config = canonicalJson({ ...platform, author, rootfs });
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: sha256Digest(config), size: config.length },
    layers: [descriptor],
  });
  return { config, manifest, platform };
}

async function addLayer(writer: ImageWriter): Promise<void> {
  const file = join(writer.stagingDirectory, 'layer');
  writeFileSync(file, layer);
  await writer.addBlob(file, descriptor);
}

async function write(imgref: string): Promise<void> {
  const writer = await createImage(imgref);
  await addLayer(writer);
  await writer.commit(imageBy(imgref));
}

suite('writers of one layout', () => {
  test('one that fails removes no blob that the image of another one names', async () => {
    const layout = `oci:${join(scratchDirectory(), 'image')}`;
    const source = `oci:${join(scratchDirectory(), 'source')}`;
    await write(source);

    const failing = await createImage(`${layout}:failing`);
    await addLayer(failing);
    await failing.addBlob(join(failing.stagingDirectory, 'never-written'), missing);
    await assert.rejects(failing.commit(imageBy('failing')), { code: 'NOT_FOUND' });

    const other = await createImage(`${layout}:other`);
    await other.mountBlob(descriptor, await openImage(source));
    await other.commit(imageBy('other'));
    await failing.discard();
    await validateImage(await openImage(layout));
  });

  test('an image does not depend on a blob that another writer removes', async () => {
    const directory = join(scratchDirectory(), 'image');
    await write(`oci:${directory}:a`);
    const writer = await createImage(`oci:${directory}:b`);
    await writer.mountBlob(descriptor, await openImage(`oci:${directory}:a`));
    rmSync(join(directory, blobPath(descriptor.digest)));
    await writer.commit(imageBy('b'));
    await validateImage(await openImage(`oci:${directory}:b`));
  });

  test('an error of close after the index was renamed keeps both images', async () => {
    const directory = join(scratchDirectory(), 'image');
    await write(`oci:${directory}:a`);
    const restore = failToClose(join(directory, 'oci-layout'));
    try {
      await write(`oci:${directory}:b`);
    } finally {
      restore();
    }
    await validateImage(await openImage(`oci:${directory}:a`));
    await validateImage(await openImage(`oci:${directory}:b`));
  });

  test('one that waits while another one fails makes a whole layout', async () => {
    const directory = join(scratchDirectory(), 'image');
    const failing = await createImage(`oci:${directory}:failing`);
    await failing.addBlob(join(failing.stagingDirectory, 'never-written'), missing);
    const results = await Promise.allSettled([
      failing.commit(imageBy('failing')).finally(() => failing.discard()),
      write(`oci:${directory}:other`),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    );
    await validateImage(await openImage(`oci:${directory}`));
    const { imageLayoutVersion } = JSON.parse(readFileSync(join(directory, 'oci-layout'), 'utf8'));
    assert.equal(imageLayoutVersion, '1.0.0');
  });
});

/** Makes close(2) of the file at `path` report an error, until the returned function is called. */
function failToClose(path: string): () => void {
  const { closeSync } = fs;
  fs.closeSync = (fd) => {
    const isFailing = readlinkSync(`/proc/self/fd/${fd}`) === path;
    closeSync(fd);
    if (isFailing) {
      throw Object.assign(new Error('EIO: i/o error, close'), { code: 'EIO', syscall: 'close' });
    }
  };
  syncBuiltinESMExports();
  return () => {
    fs.closeSync = closeSync;
    syncBuiltinESMExports();
  };
}

test('a file system that refuses new directories is an error, not an endless loop', async () => {
  await assert.rejects(createImage('oci:/proc/ostrata/image'), {
    message: /^preparing \/proc\/ostrata\/image: .*\/proc\/ostrata/,
  });
});

test('a writer of an archive that cannot begin leaves nothing beside it', async () => {
  // The staging directory has a path that Linux takes, what would be in it has none.
  const longest = 4095;
  const staging = '/.ostrata-XXXXXX';
  const scratch = scratchDirectory();
  let parent = scratch;
  while (parent.length < longest - staging.length - 256) {
    parent = join(parent, 'd'.repeat(200));
  }
  const rest = longest - staging.length - '/layout'.length - parent.length - 1;
  parent = join(parent, 'd'.repeat(Math.min(rest, 255)));
  mkdirSync(parent, { recursive: true });
  await assert.rejects(createImage(`oci-archive:${join(parent, 'a')}`), { message: /preparing/ });
  assert.deepEqual(readdirSync(parent), []);
});
