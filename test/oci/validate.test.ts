// Validation of whole images.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ImageReader } from '../../src/oci/image.js';
import { sha256Digest } from '../../src/oci/json.js';
import { DOCKER_CONFIG, DOCKER_MANIFEST, OCI_LAYER_GZIP } from '../../src/oci/media-types.js';
import { validateBlob, validateImage } from '../../src/oci/validate.js';
import { memoryImage } from '../support/memory-image.js';

const layers = [Buffer.from('the first'), Buffer.alloc(300_000, 'the second ')];
const zipped = layers.map((bytes) => gzipSync(bytes));
const gzipImage = (blobs: readonly Uint8Array[] = zipped) =>
  memoryImage({
    layers: blobs,
    mediaType: OCI_LAYER_GZIP,
    config: { rootfs: { type: 'layers', diff_ids: layers.map(sha256Digest) } },
  });

/** `image` with other bytes for the blob of its layer 1. */
function withBlob(image: ImageReader, bytes: Uint8Array): ImageReader {
  return {
    ...image,
    blob: (descriptor) =>
      descriptor === image.manifest.layers[1] ? [bytes] : image.blob(descriptor),
  };
}

const broken = (message: RegExp) => ({ code: 'CORRUPT', message });

test('a valid image is accepted, and visitors see each uncompressed layer', async () => {
  for (const image of [memoryImage({ layers }), gzipImage()]) {
    const seen: string[] = [];
    await validateImage(image, async (layer, tar) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of tar) {
        chunks.push(chunk);
      }
      seen[layer] = Buffer.concat(chunks).toString();
    });
    assert.deepEqual(seen, layers.map(String));
  }
});

test('the chunks of a blob may share one buffer', async () => {
  const image = memoryImage({ layers: [Buffer.from('aabbcc')] });
  const buffer = Buffer.alloc(2);
  const blob = function* () {
    for (const text of ['aa', 'bb', 'cc']) {
      yield buffer.fill(text);
    }
  };
  await validateImage({ ...image, blob });
});

test('a wrong number or digest is refused, naming both values', async () => {
  const image = memoryImage({ layers });
  const other = Buffer.from('other config');
  await assert.rejects(
    validateImage({ ...image, manifestDigest: 'sha256:0' }),
    broken(/manifest digest: stated sha256:0, computed sha256:/),
  );
  await assert.rejects(
    validateImage({ ...image, config: async () => other }),
    broken(/config size: stated \d+, computed 12/),
  );
  const changed = Buffer.from(
    (await image.config()).map((byte, i) => (i === 20 ? byte ^ 1 : byte)),
  );
  await assert.rejects(
    validateImage({ ...image, config: async () => changed }),
    broken(/config digest/),
  );
  const fewer = memoryImage({
    layers,
    config: { rootfs: { type: 'layers', diff_ids: [sha256Digest(other)] } },
  });
  await assert.rejects(
    validateImage(fewer),
    broken(/number of diff_ids: stated 1, computed 2|number of diff_ids: stated 2, computed 1/),
  );
  const history = memoryImage({ layers, config: { history: [{ empty_layer: true }, {}, {}, {}] } });
  await assert.rejects(validateImage(history), broken(/number of history entries/));
});

test('a manifest that mixes the media types of OCI and Docker is refused', async () => {
  const mediaType = 'application/vnd.docker.image.rootfs.diff.tar';
  const image = memoryImage({ layers, mediaType });
  const mixed = (whole: string, part: string) =>
    broken(new RegExp(`OCI and Docker are mixed: \\S+${whole} with \\S+${part}$`));
  await assert.rejects(validateImage(image), mixed('oci\\S+', 'diff.tar \\(layer 0\\)'));

  const { manifest } = image;
  const ofDocker = (members: object) => ({ ...image, manifest: { ...manifest, ...members } });
  const config = { ...manifest.config, mediaType: DOCKER_CONFIG };
  await validateImage(ofDocker({ mediaType: DOCKER_MANIFEST, config }));
  await assert.rejects(
    validateImage(ofDocker({ mediaType: DOCKER_MANIFEST })),
    mixed('manifest.v2\\+json', 'json \\(config\\)'),
  );
  await assert.rejects(
    validateImage(ofDocker({ mediaType: undefined })),
    mixed('oci\\S+', 'diff.tar \\(layer 0\\)'),
  );
});

test('a blob other than in the manifest is refused, naming its layer', async () => {
  const image = memoryImage({ layers });
  const place = (rule: string) => broken(new RegExp(`layer 1 \\(sha256:[0-9a-f]{64}\\): ${rule}`));
  await assert.rejects(
    validateImage(withBlob(image, layers[1]?.subarray(1) ?? other)),
    place('(size|digest)'),
  );
  await assert.rejects(
    validateImage(withBlob(image, Buffer.alloc(300_000))),
    place('digest: stated'),
  );
  const exchanged = memoryImage({
    layers,
    config: { rootfs: { type: 'layers', diff_ids: layers.map(sha256Digest).reverse() } },
  });
  await assert.rejects(validateImage(exchanged), broken(/layer 0 .*diff_id/));
});
const other = Buffer.from('other');

test('damaged or truncated gzip is refused, naming its layer', async () => {
  const [, second = other] = zipped;
  for (const bytes of [
    second.subarray(0, -4),
    second.subarray(0, 3),
    Buffer.from('no gzip at all'),
    new Uint8Array(),
  ]) {
    await assert.rejects(
      validateImage(gzipImage([zipped[0] ?? other, bytes])),
      broken(/layer 1 \(sha256:/),
      `${bytes.length} bytes`,
    );
  }
});

test('an error of the visitor ends the validation, whether it has read anything or not', async () => {
  const tar = Buffer.alloc(3 << 20);
  const image = memoryImage({
    layers: [gzipSync(tar)],
    mediaType: OCI_LAYER_GZIP,
    config: { rootfs: { type: 'layers', diff_ids: [sha256Digest(tar)] } },
  });
  const enough = async () => {
    throw new Error('enough');
  };
  await assert.rejects(validateImage(image, enough), /layer 0 .*enough/);

  const later = validateImage(image, async (_, chunks) => {
    for await (const _chunk of chunks) {
      await enough();
    }
  });
  await assert.rejects(later, /layer 0 .*enough/);
});

suite('a layer may expand', () => {
  const zeros = gzipSync(Buffer.alloc(64 << 20));
  // Concatenated gzip files expand to one stream: here 192 MiB.
  const image = memoryImage({
    layers: [Buffer.concat([zeros, zeros, zeros])],
    mediaType: OCI_LAYER_GZIP,
  });
  const [descriptor = assert.fail()] = image.manifest.layers;

  test('to 128 MiB and 200 times its size', async () => {
    const limit = (128 << 20) + 200 * descriptor.size;
    await assert.rejects(validateImage(image), {
      code: 'LIMIT',
      message: new RegExp(
        `^layer 0 .*: expands to more than ${limit} bytes, the most for its size`,
      ),
    });
  });

  test('to the content that the headers in its tar state', async () => {
    let size = 0;
    await validateBlob(image.blob(descriptor), descriptor, async (tar) => {
      tar.allowContent(192 << 20);
      for await (const chunk of tar) {
        size += chunk.length;
      }
    });
    assert.equal(size, 192 << 20);
  });
});

test('a blob of which no size is stated may expand by what was read of it', async () => {
  const zeros = gzipSync(Buffer.alloc(64 << 20));
  function* endless() {
    for (let i = 0; i < 100; i++) {
      yield zeros;
    }
  }
  let size = 0;
  const reading = validateBlob(endless(), { mediaType: OCI_LAYER_GZIP }, async (tar) => {
    for await (const chunk of tar) {
      size += chunk.length;
    }
  });
  await assert.rejects(reading, { code: 'LIMIT' });
  assert.ok(size < 256 << 20);
});

suite('a gzip layer', () => {
  const tar = layers[1] ?? Buffer.alloc(0);
  const read = (blob: Uint8Array) =>
    validateBlob(
      [blob],
      { mediaType: OCI_LAYER_GZIP, digest: sha256Digest(blob), size: blob.length },
      async (chunks) => {
        for await (const _ of chunks) {
        }
      },
    );

  for (const [title, rest] of [
    ['one zero', Buffer.alloc(1)],
    ['a megabyte of zeros', Buffer.alloc(1 << 20)],
    ['zeros and another gzip stream', Buffer.concat([Buffer.alloc(8), gzipSync(tar)])],
    ['text', Buffer.from('garbage')],
    ['the start of another gzip stream', gzipSync(tar).subarray(0, 2)],
  ] as const) {
    test(`is refused if ${title} follows its gzip stream`, async () => {
      await assert.rejects(read(Buffer.concat([gzipSync(tar), rest])), { code: 'CORRUPT' });
    });
  }

  test('can consist of several gzip streams', async () => {
    const blob = Buffer.concat([gzipSync(tar.subarray(0, 1000)), gzipSync(tar.subarray(1000))]);
    assert.equal((await read(blob)).diffId, sha256Digest(tar));
  });
});
