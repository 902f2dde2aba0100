/**
 * The promises of transports whose destination is a file or directory: `oci` and `oci-archive`, one
 * entry of `transports` each. They need no other program and must leave nothing behind on the disk.
 * The others have their own suites in test/transports: a registry promises nothing about blobs that
 * no image names, and the transports of skopeo depend on the installed version.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../src/oci/media-types.js';
import type { Descriptor } from '../../src/oci/types.js';
import { validateImage } from '../../src/oci/validate.js';
import { createImage, openImage, readIndex } from '../../src/transports/image-reference.js';
import type { ImageReader, ImageWriter } from '../../src/transports/transport.js';
import { tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

interface TransportCase {
  /** Returns a destination in the empty directory `scratch` that does not exist yet. */
  readonly imgref: (scratch: string) => string;
  /** Whether images with other tags remain when one is written. */
  readonly keepsOthers: boolean;
}
const transports: Readonly<Record<string, TransportCase>> = {
  oci: { imgref: (scratch) => `oci:${join(scratch, 'image')}`, keepsOthers: true },
  'oci-archive': {
    imgref: (scratch) => `oci-archive:${join(scratch, 'image.tar')}`,
    keepsOthers: false,
  },
};

const platform = { architecture: 'amd64', os: 'linux' };
const descriptor = (bytes: Uint8Array): Descriptor => ({
  mediaType: OCI_LAYER,
  digest: sha256Digest(bytes),
  size: bytes.length,
});

/** Writes an image of `layers`, mounted from the image `from` or as new blobs. */
async function write(
  writer: ImageWriter,
  layers: readonly Uint8Array[],
  from?: ImageReader,
): Promise<string> {
  for (const [i, bytes] of layers.entries()) {
    if (from) {
      await writer.mountBlob(descriptor(bytes), from);
    } else {
      const file = join(writer.stagingDirectory, `layer-${i}`);
      writeFileSync(file, bytes, { flag: 'wx' });
      await writer.addBlob(file, descriptor(bytes));
    }
  }
  const image = describe(layers);
  await writer.commit({ ...image, platform });
  return sha256Digest(image.manifest);
}

function describe(layers: readonly Uint8Array[]) {
  const config = canonicalJson({
    ...platform,
    rootfs: { type: 'layers', diff_ids: layers.map(sha256Digest) },
  });
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: sha256Digest(config), size: config.length },
    layers: layers.map(descriptor),
  });
  return { config, manifest };
}

async function digestOf(image: ImageReader, layer: Descriptor): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of image.blob(layer)) {
    hash.update(chunk);
  }
  return `sha256:${hash.digest('hex')}`;
}

const small = Buffer.from('a small layer');
const large = Buffer.alloc((3 << 20) + 7, 'a large layer ');

for (const [name, { imgref, keepsOthers }] of Object.entries(transports)) {
  suite(`transport ${name}`, () => {
    test('an image that was written is read back, with any tag or none', async () => {
      for (const tag of ['', ':latest', ':v1.2_x-y']) {
        const target = `${imgref(scratchDirectory())}${tag}`;
        const digest = await write(await createImage(target), [small, large, Buffer.alloc(0)]);
        const image = await openImage(target);
        assert.equal(image.name, target);
        assert.equal(image.manifestDigest, digest);
        assert.equal(sha256Digest(image.manifestBytes), digest);
        assert.deepEqual(
          (await validateImage(image)).rootfs.diff_ids,
          [small, large, Buffer.alloc(0)].map(sha256Digest),
        );
        for (const layer of image.manifest.layers) {
          assert.equal(await digestOf(image, layer), layer.digest);
        }
      }
    });

    test('an index that was written is read back, with each of its images', async () => {
      const target = `${imgref(scratchDirectory())}:x`;
      const writer = await createImage(target);
      const images = [small, large].map((layer) => ({ ...describe([layer]), platform }));
      for (const [i, layer] of [small, large].entries()) {
        const file = join(writer.stagingDirectory, `layer-${i}`);
        writeFileSync(file, layer);
        await writer.addBlob(file, descriptor(layer));
      }
      const manifests = images.map(({ manifest }) => ({
        mediaType: OCI_MANIFEST,
        digest: sha256Digest(manifest),
        size: manifest.length,
      }));
      const index = canonicalJson({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      await writer.commitIndex?.({ images, index });

      assert.deepEqual((await readIndex(target))?.manifests, manifests);
      for (const manifest of manifests) {
        const image = await openImage(target, { manifest });
        assert.equal(image.manifestDigest, manifest.digest);
        await validateImage(image);
      }
    });

    test('an image that was written is no index', async () => {
      const target = imgref(scratchDirectory());
      await write(await createImage(target), [small]);
      assert.equal(await readIndex(target), undefined);
    });

    test('nothing is visible before the commit, and discard leaves nothing', async () => {
      const scratch = scratchDirectory();
      const writer = await createImage(`${imgref(scratch)}:x`);
      const file = join(writer.stagingDirectory, 'layer');
      writeFileSync(file, small);
      await writer.addBlob(file, descriptor(small));
      await assert.rejects(openImage(`${imgref(scratch)}:x`), { code: 'NOT_FOUND' });
      await writer.discard();
      await writer.discard();
      assert.deepEqual(readdirSync(scratch), []);
    });

    test('discarding a second image does not change the first', async () => {
      const target = `${imgref(scratchDirectory())}:x`;
      const digest = await write(await createImage(target), [small]);
      const writer = await createImage(target);
      const file = join(writer.stagingDirectory, 'layer');
      writeFileSync(file, large);
      await writer.addBlob(file, descriptor(large));
      await writer.discard();
      const image = await openImage(target);
      assert.equal(image.manifestDigest, digest);
      await validateImage(image);
    });

    test('discard after the commit removes nothing', async () => {
      const target = imgref(scratchDirectory());
      const writer = await createImage(target);
      await write(writer, [small]);
      await writer.discard();
      await validateImage(await openImage(target));
    });

    test('what a killed writer has left is removed by the next one', async () => {
      const scratch = scratchDirectory();
      killWriter(`${imgref(scratch)}:x`);
      await write(await createImage(`${imgref(scratch)}:y`), [small]);
      const names = readdirSync(scratch, { recursive: true, encoding: 'utf8' });
      assert.deepEqual(
        names.filter((name) => name.includes('.ostrata-')),
        [],
      );
    });

    test('a failed commit leaves nothing', async () => {
      const scratch = scratchDirectory();
      const writer = await createImage(`${imgref(scratch)}:x`);
      await writer.addBlob(join(writer.stagingDirectory, 'never-written'), descriptor(small));
      await assert.rejects(writer.commit({ ...describe([small]), platform }), {
        code: 'NOT_FOUND',
        message: /writing .*image/,
      });
      await writer.discard();
      assert.deepEqual(readdirSync(scratch), []);
    });

    test('the same image has the same bytes at another destination', async () => {
      const files = await Promise.all(
        [scratchDirectory(), scratchDirectory()].map(async (scratch) => {
          await write(await createImage(`${imgref(scratch)}:x`), [small, large]);
          return treeDigests(scratch);
        }),
      );
      assert.deepEqual(files[1], files[0]);
    });

    test('writing a tag again replaces its image', async () => {
      const target = `${imgref(scratchDirectory())}:x`;
      await write(await createImage(target), [small]);
      const digest = await write(await createImage(target), [large]);
      assert.equal((await openImage(target)).manifestDigest, digest);
      assert.equal(
        (await openImage(target.replace(/:x$/, ''))).manifestDigest,
        digest,
        'there is one image',
      );
    });

    test(`writing ${keepsOthers ? 'keeps' : 'removes'} images with other tags`, async () => {
      const target = imgref(scratchDirectory());
      const first = await write(await createImage(`${target}:a`), [small]);
      const second = await write(await createImage(`${target}:b`), [large]);
      assert.equal((await openImage(`${target}:b`)).manifestDigest, second);
      if (keepsOthers) {
        assert.equal((await openImage(`${target}:a`)).manifestDigest, first);
        await assert.rejects(openImage(target), {
          code: 'AMBIGUOUS',
          message: /2 images in .*: a, b/,
        });
      } else {
        await assert.rejects(openImage(`${target}:a`), {
          code: 'NOT_FOUND',
          message: /no image with tag a.*: b/,
        });
        assert.equal((await openImage(target)).manifestDigest, second);
      }
    });

    test('the error for a missing tag or image names it', async () => {
      const target = imgref(scratchDirectory());
      await assert.rejects(openImage(target), { code: 'NOT_FOUND', message: /image/ });
      await write(await createImage(`${target}:a`), [small]);
      await assert.rejects(openImage(`${target}:b`), {
        code: 'NOT_FOUND',
        message: /no image with tag b in .*: a/,
      });
    });

    test('a destination that cannot be written is refused early', async () => {
      const scratch = scratchDirectory();
      writeFileSync(join(scratch, 'file'), '');
      await assert.rejects(createImage(imgref(join(scratch, 'file'))), /preparing .*file/);
      assert.deepEqual(readdirSync(scratch), ['file']);
    });

    for (const [other, { imgref: otherRef }] of Object.entries(transports)) {
      test(`blobs of ${other} are copied or linked, and outlive their source`, async () => {
        const scratch = scratchDirectory();
        await write(await createImage(otherRef(scratch)), [small, large]);
        const target = imgref(scratchDirectory());
        await write(await createImage(target), [small, large], await openImage(otherRef(scratch)));
        rmSync(scratch, { recursive: true });
        await validateImage(await openImage(target));
      });
    }

    for (const [other, { imgref: otherRef }] of Object.entries(transports)) {
      test(`a blob of ${other} with other bytes is refused, and can be added then`, async () => {
        const source = otherRef(scratchDirectory());
        const stated = descriptor(small);
        await write(await createImage(source), [small]);
        const from = await openImage(source);
        const file = join(scratchDirectory(), 'blob');
        for (const bytes of [Buffer.alloc(small.length, 'x'), small.subarray(1)]) {
          writeFileSync(file, bytes);
          const lying = { ...from, blob: () => [bytes], blobFile: () => blobFile(from, file) };
          const target = imgref(scratchDirectory());
          const writer = await createImage(target);
          await assert.rejects(writer.mountBlob(stated, lying), {
            code: 'CORRUPT',
            message: new RegExp(`taking over blob ${stated.digest} of .*image`),
          });
          await write(writer, [small]);
          await validateImage(await openImage(target));
        }
      });
    }

    test('mounting a missing blob fails with NOT_FOUND', async () => {
      const source = imgref(scratchDirectory());
      await write(await createImage(source), [small]);
      const scratch = scratchDirectory();
      const writer = await createImage(imgref(scratch));
      const missing = descriptor(Buffer.from('never written'));
      await assert.rejects(writer.mountBlob(missing, await openImage(source)), {
        code: 'NOT_FOUND',
        message: new RegExp(`taking over blob ${missing.digest} of .*image`),
      });
      await writer.discard();
      assert.deepEqual(readdirSync(scratch), []);
    });
  });
}

/** Lets another process begin to write an image and die. */
function killWriter(imgref: string): void {
  const module = new URL('../../src/transports/image-reference.js', import.meta.url).href;
  const script =
    `import { writeFileSync } from 'node:fs';` +
    `import { createImage } from ${JSON.stringify(module)};` +
    `const { stagingDirectory } = await createImage(${JSON.stringify(imgref)});` +
    `writeFileSync(stagingDirectory + '/layer-0', 'unfinished');` +
    `process.kill(process.pid, 'SIGKILL');`;
  tryRun(process.execPath, ['--input-type=module', '-e', script]);
}

/** Returns `file` if the files of an image can be linked. */
function blobFile(image: ImageReader, file: string): string | undefined {
  return image.blobFile(descriptor(small)) && file;
}

/** Digests of all files below `directory` by path. */
function treeDigests(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).isDirectory() ? 'directory' : sha256Digest(readFileSync(path))];
    }),
  );
}
