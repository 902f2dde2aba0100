/** What every transport must do that can be written to and read from. A new one is one entry of `transports`. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../src/oci/media-types.js';
import type { Descriptor } from '../../src/oci/types.js';
import { validateImage } from '../../src/oci/validate.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import type { ImageReader, ImageWriter } from '../../src/transports/transport.js';
import { scratchDirectory } from '../support/scratch.js';

interface TransportCase {
  /** A destination in the empty directory `scratch` where nothing is yet. */
  readonly imgref: (scratch: string) => string;
  /** Other tags at the destination stay when one is written. */
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

/** Writes an image of `layers`, each a new blob or one of `from`. */
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
    test('what was written is read: manifest, config, every blob, by any tag or none', async () => {
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

    test('nothing shows before the commit, and discarding leaves nothing', async () => {
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

    test('discarding a second image leaves the first as it was', async () => {
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

    test('discarding after the commit removes nothing', async () => {
      const target = imgref(scratchDirectory());
      const writer = await createImage(target);
      await write(writer, [small]);
      await writer.discard();
      await validateImage(await openImage(target));
    });

    test('a commit that cannot be completed leaves nothing', async () => {
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

    test('the same image has the same bytes at another place', async () => {
      const files = await Promise.all(
        [scratchDirectory(), scratchDirectory()].map(async (scratch) => {
          await write(await createImage(`${imgref(scratch)}:x`), [small, large]);
          return treeDigests(scratch);
        }),
      );
      assert.deepEqual(files[1], files[0]);
    });

    test('writing a tag again replaces that image', async () => {
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

    test(`another tag ${keepsOthers ? 'stays' : 'is gone'}; without a tag, several images are ambiguous`, async () => {
      const place = imgref(scratchDirectory());
      const first = await write(await createImage(`${place}:a`), [small]);
      const second = await write(await createImage(`${place}:b`), [large]);
      assert.equal((await openImage(`${place}:b`)).manifestDigest, second);
      if (keepsOthers) {
        assert.equal((await openImage(`${place}:a`)).manifestDigest, first);
        await assert.rejects(openImage(place), {
          code: 'AMBIGUOUS',
          message: /2 images in .*: a, b/,
        });
      } else {
        await assert.rejects(openImage(`${place}:a`), {
          code: 'NOT_FOUND',
          message: /no image with tag a.*: b/,
        });
        assert.equal((await openImage(place)).manifestDigest, second);
      }
    });

    test('a tag or place that is not there is named', async () => {
      const place = imgref(scratchDirectory());
      await assert.rejects(openImage(place), { code: 'NOT_FOUND', message: /image/ });
      await write(await createImage(`${place}:a`), [small]);
      await assert.rejects(openImage(`${place}:b`), {
        code: 'NOT_FOUND',
        message: /no image with tag b in .*: a/,
      });
    });

    test('a place where nothing can be written is refused before any work', async () => {
      const scratch = scratchDirectory();
      writeFileSync(join(scratch, 'file'), '');
      await assert.rejects(createImage(imgref(join(scratch, 'file'))), /preparing .*file/);
      assert.deepEqual(readdirSync(scratch), ['file']);
    });

    for (const [other, { imgref: otherRef }] of Object.entries(transports)) {
      test(`blobs are taken over from ${other}, and are whole when that is gone`, async () => {
        const scratch = scratchDirectory();
        await write(await createImage(otherRef(scratch)), [small, large]);
        const target = imgref(scratchDirectory());
        await write(await createImage(target), [small, large], await openImage(otherRef(scratch)));
        rmSync(scratch, { recursive: true });
        await validateImage(await openImage(target));
      });
    }

    test('a blob to be taken over that is nowhere is an error', async () => {
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
