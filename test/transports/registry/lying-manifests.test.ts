// Manifests and indexes that are wrong: a server of a few lines returns whatever a test wants.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ErrorCode, OstrataError } from '../../../src/errors.js';
import { canonicalJson, sha256Digest } from '../../../src/oci/json.js';
import {
  DOCKER_MANIFEST,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../../../src/oci/media-types.js';
import { hostPlatform } from '../../../src/oci/platform.js';
import { validateImage } from '../../../src/oci/validate.js';
import { openImage } from '../../../src/transports/image-reference.js';
import type { TransportOptions } from '../../../src/transports/transport.js';
import { withServer } from '../../support/fault-bench.js';
import { describeImage, gzipped, noise, type TestManifest } from '../../support/random-images.js';

const layers = [noise('a', 2000), noise('b', 1000)];
const blobs = new Map(
  layers.map((layer) => [sha256Digest(gzipped(layer)), gzipped(layer)] as const),
);

interface Answer {
  readonly bytes: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Validates the image `name` of a server with `answers` by tag or digest. */
async function validate(
  answers: Readonly<Record<string, Answer>>,
  name = ':x',
  options: TransportOptions = {},
) {
  await withServer(
    (request, response) => {
      const path = request.url ?? '';
      const key = path.slice(path.lastIndexOf('/') + 1);
      const bytes = answers[key]?.bytes ?? blobs.get(key);
      if (bytes === undefined) {
        return void response.writeHead(404).end();
      }
      response
        .writeHead(200, { 'content-type': 'application/octet-stream', ...answers[key]?.headers })
        .end(bytes);
    },
    async (url) => {
      const image = await openImage(`docker:${url.slice('http:'.length)}/os/x${name}`, {
        tlsVerify: false,
        retries: 0,
        ...options,
      });
      await validateImage(image);
    },
  );
}

const given = (change?: (manifest: TestManifest) => object) => {
  const { config, manifest } = describeImage(layers, change);
  return { x: { bytes: manifest }, [sha256Digest(config)]: { bytes: config } };
};
/** Changes members of the first layer's descriptor. */
const firstLayer = (other: object) => (manifest: TestManifest) => ({
  ...manifest,
  layers: manifest.layers.map((layer, i) => (i === 0 ? { ...layer, ...other } : layer)),
});

test('an honest manifest is accepted', () => validate(given()));

suite('a manifest that lies is refused with a reason', () => {
  const wrong = sha256Digest(Buffer.from('wrong'));
  const lies: readonly (readonly [
    string,
    (manifest: TestManifest) => object,
    ErrorCode,
    RegExp,
  ])[] = [
    ['wrong size of a layer', firstLayer({ size: 10 }), 'CORRUPT', /more than its 10 bytes/],
    ['negative size', firstLayer({ size: -1 }), 'CORRUPT', /layers\.0\.size/],
    ['size beyond numbers', firstLayer({ size: 2 ** 60 }), 'CORRUPT', /layers\.0\.size/],
    ['digest of a missing blob', firstLayer({ digest: wrong }), 'NOT_FOUND', /404/],
    [
      'digest with a path',
      firstLayer({ digest: 'sha256:../../etc/passwd' }),
      'CORRUPT',
      /layers\.0\.digest.*64 hex/,
    ],
    [
      'digest with a host',
      firstLayer({ digest: `sha256:${'0'.repeat(63)}/` }),
      'CORRUPT',
      /64 hex/,
    ],
    [
      'wrong compression',
      firstLayer({ mediaType: OCI_LAYER_GZIP.replace('+gzip', '') }),
      'CORRUPT',
      /diff_id/,
    ],
    [
      'unknown kind of layer',
      firstLayer({ mediaType: 'text/plain' }),
      'UNSUPPORTED',
      /layer 0 .*text\/plain/,
    ],
    [
      'foreign layer',
      firstLayer({
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
        urls: ['https://x/y'],
      }),
      'UNSUPPORTED',
      /layer 0 .*foreign/,
    ],
    [
      'layer with a URL elsewhere',
      firstLayer({ urls: ['https://example.invalid/'] }),
      'UNSUPPORTED',
      /layer 0 .*urls/,
    ],
    [
      'too many layers',
      (manifest) => ({
        ...manifest,
        layers: Array.from({ length: 1025 }, () => manifest.layers[0]),
      }),
      'CORRUPT',
      /layers.*1024/,
    ],
    [
      'fewer layers than diff_ids',
      (manifest) => ({ ...manifest, layers: manifest.layers.slice(1) }),
      'CORRUPT',
      /diff_ids/,
    ],
    [
      'wrong size of the config',
      (m) => ({ ...m, config: { ...m.config, size: 5 } }),
      'CORRUPT',
      /more than its 5 bytes/,
    ],
    [
      'huge config',
      (m) => ({ ...m, config: { ...m.config, size: 1e9 } }),
      'LIMIT',
      /config of 1000000000 bytes/,
    ],
    [
      'artifact',
      (m) => ({ ...m, config: { ...m.config, mediaType: 'application/x' } }),
      'UNSUPPORTED',
      /config/,
    ],
    [
      'manifest and index at once',
      (m) => ({ ...m, manifests: m.layers }),
      'CORRUPT',
      /member of an index/,
    ],
    ['version 1', (m) => ({ ...m, schemaVersion: 1 }), 'CORRUPT', /schemaVersion/],
    [
      'unknown media type',
      (m) => ({ ...m, mediaType: 'application/vnd.oci.thing' }),
      'UNSUPPORTED',
      /vnd\.oci\.thing/,
    ],
  ];
  for (const [what, change, code, message] of lies) {
    test(what, async () => {
      await assert.rejects(validate(given(change)), (error: OstrataError) => {
        assert.match(error.message, message);
        assert.equal(error.code, code);
        return true;
      });
    });
  }

  test('media type other than that of the response', async () => {
    const { x, ...rest } = given();
    const headers = { 'content-type': DOCKER_MANIFEST };
    await assert.rejects(validate({ ...rest, x: { ...x, headers } }), {
      code: 'CORRUPT',
      message: /the registry says/,
    });
  });

  test('digest other than the requested or the announced one', async () => {
    const { x, ...rest } = given();
    const wanted = { code: 'CORRUPT', message: /sent one with the digest sha256:/ };
    await assert.rejects(validate({ ...rest, [wrong]: x }, `@${wrong}`), wanted);
    const headers = { 'docker-content-digest': wrong };
    await assert.rejects(validate({ ...rest, x: { ...x, headers } }), wanted);
  });

  test('not JSON, or too large', async () => {
    await assert.rejects(validate({ x: { bytes: Buffer.from('{') } }), {
      code: 'CORRUPT',
      message: /not JSON/,
    });
    await assert.rejects(validate({ x: { bytes: Buffer.alloc((8 << 20) + 1, ' ') } }), {
      code: 'LIMIT',
    });
  });
});

suite('an index', () => {
  const { x, ...rest } = given();
  const entry = { mediaType: OCI_MANIFEST, digest: sha256Digest(x.bytes), size: x.bytes.length };
  const on = (architecture: string, variant?: string) => ({
    os: 'linux',
    architecture,
    ...(variant && { variant }),
  });
  const index = (manifests: readonly object[]) => ({
    ...rest,
    [entry.digest]: x,
    index: { bytes: canonicalJson({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }) },
  });

  test('the image of the requested platform is read, by default that of this machine', async () => {
    const other = { ...entry, digest: sha256Digest(Buffer.from('other')), platform: on('s390x') };
    const arm = index([other, { ...entry, platform: on('arm', 'v7') }]);
    await validate(arm, ':index', { platform: on('arm') });
    await validate(arm, ':index', { platform: on('arm', 'v7') });
    await assert.rejects(validate(arm, ':index', { platform: on('arm', 'v6') }), {
      code: 'NOT_FOUND',
    });
    await assert.rejects(validate(arm, ':index'), {
      code: 'NOT_FOUND',
      message: /linux\/s390x, linux\/arm\/v7/,
    });
    const here = hostPlatform().architecture;
    await validate(index([other, { ...entry, platform: on(here) }]), ':index');
  });

  test('an index that states a wrong size or media type of a manifest is refused', async () => {
    const options = { platform: on('arm') };
    const lying = index([{ ...entry, size: 5, platform: on('arm') }]);
    await assert.rejects(validate(lying, ':index', options), {
      code: 'CORRUPT',
      message: /the index says 5/,
    });
    const circular = index([{ ...entry, mediaType: OCI_INDEX, platform: on('arm') }]);
    await assert.rejects(validate(circular, ':index', options), { code: 'NOT_FOUND' });
  });
});
