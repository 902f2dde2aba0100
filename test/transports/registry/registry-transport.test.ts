// The transports registry: and docker:// with a real registry, skopeo and podman.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { must, type OstrataError } from '../../../src/errors.js';
import { validateImage } from '../../../src/oci/validate.js';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import type { TransportOptions } from '../../../src/transports/transport.js';
import { copyImage } from '../../support/copy-blobs.js';
import {
  makeCertificates,
  type Registry,
  startRegistry,
  type TestCertificates,
} from '../../support/docker-registry.js';
import {
  gzipped,
  newTraffic,
  noise,
  type TestImage,
  writeTestImage,
} from '../../support/random-images.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { startTokenServer, type TokenServer } from '../../support/token-server.js';
import { needs } from '../../support/tools.js';

const MIB = 1 << 20;
const user = 'alice';
const password = 'p:ss wörd';

async function copy(from: string, to: string, options: TransportOptions) {
  const traffic = newTraffic();
  const image = await openImage(from, { ...options, traffic });
  await copyImage(image, await createImage(to, { ...options, traffic }));
  await image.close?.();
  return traffic;
}

/** Asserts that the layout holds the image, byte for byte, and nothing else. */
function assertSameImage(directory: string, image: TestImage): void {
  const blobs = [image.manifestDigest, ...image.layers.map(({ digest }) => digest)];
  const files = readdirSync(join(directory, 'blobs/sha256'));
  for (const digest of blobs) {
    assert.ok(files.includes(digest.slice('sha256:'.length)), digest);
  }
  assert.equal(files.length, new Set(blobs).size + 1, 'and the config');
  for (const file of files) {
    assert.match(run('sha256sum', [join(directory, 'blobs/sha256', file)]), new RegExp(`^${file}`));
  }
}

suite('registry over http', needs('docker-registry'), () => {
  let scratch: string;
  let registry: Registry;
  let previous: TestImage;
  let next: TestImage;
  const options = { tlsVerify: false };
  const ref = (rest: string) => `docker://${registry.host}/${rest}`;

  before(async () => {
    scratch = scratchDirectory();
    registry = await startRegistry(join(scratch, 'registry'));
    const shared = [noise('a', 3 * MIB), noise('b', 100_000), Buffer.alloc(0), noise('c', 1)];
    previous = await writeTestImage(join(scratch, 'images'), 'previous', [
      noise('commit previous', 70_000),
      ...shared,
      noise('d', 5000),
    ]);
    next = await writeTestImage(join(scratch, 'images'), 'next', [
      noise('commit next', 71_000),
      ...shared,
      noise('e', 6000),
    ]);
  });
  after(async () => {
    await registry.stop();
  });

  test('a push sends only the blobs that the registry lacks', async () => {
    const first = await copy(previous.imgref, ref('os/base:previous'), options);
    assert.deepEqual([first.blobBytesSent, first.blobBytesReceived], [previous.size, 0]);
    const again = await copy(previous.imgref, ref('os/base:previous'), options);
    assert.equal(again.blobBytesSent, 0);

    const present = previous.layers.map(({ digest }) => digest);
    const added = next.layers.filter(({ digest }) => !present.includes(digest));
    assert.equal(added.length, 2);
    const addedSize = added.reduce((sum, { size }) => sum + size, next.config.length);
    const second = await copy(next.imgref, ref('os/base:next'), options);
    assert.equal(second.blobBytesSent, addedSize);
  });

  test('a pull returns the same bytes, each fetched once', async () => {
    for (const [tag, image] of Object.entries({ previous, next })) {
      const target = ref(`os/pulled:${tag}`);
      await copy(image.imgref, target, options);
      const pulled = join(scratch, `pulled-${tag}`);
      const traffic = await copy(target, `oci:${pulled}:x`, options);
      assert.equal(traffic.blobBytesReceived, image.size);
      assertSameImage(pulled, image);
      await validateImage(await openImage(`oci:${pulled}:x`));
      await validateImage(await openImage(ref(`os/pulled@${image.manifestDigest}`), options));
    }
  });

  test('layers of an image in the same registry are mounted, not sent', async () => {
    await copy(previous.imgref, ref('os/source:previous'), options);
    const traffic = await copy(ref('os/source:previous'), ref('os/mounted:previous'), options);
    // The config alone is read and written, since a caller may change it.
    assert.deepEqual(
      [traffic.blobBytesReceived, traffic.blobBytesSent],
      [previous.config.length, previous.config.length],
    );
    const pulled = join(scratch, 'mounted');
    await copy(ref('os/mounted:previous'), `oci:${pulled}:x`, options);
    assertSameImage(pulled, previous);
  });

  test('the blobs of an image in another registry are streamed to the destination', async () => {
    const other = await startRegistry(join(scratch, 'other'));
    try {
      await copy(previous.imgref, ref('os/stream:previous'), options);
      const traffic = await copy(
        ref('os/stream:previous'),
        `registry:${other.host}/os/streamed`,
        options,
      );
      assert.equal(traffic.blobBytesSent, previous.size);
      assert.deepEqual(
        (await openImage(`registry:${other.host}/os/streamed:latest`, options)).manifestBytes,
        Buffer.from(previous.manifest),
      );
    } finally {
      await other.stop();
    }
  });

  test('a damaged blob of a file is refused before it is sent, and can be added then', async () => {
    const image = await openImage(previous.imgref);
    const [layer] = image.manifest.layers;
    assert.ok(layer);
    const bytes = readFileSync(must(image.blobFile(layer), 'the file of the layer'));
    const damaged = Buffer.from(bytes).fill('x', 100, 200);

    const traffic = newTraffic();
    const writer = await createImage(ref('os/damaged:x'), { ...options, traffic });
    await assert.rejects(writer.mountBlob(layer, { ...image, blob: () => [damaged] }), {
      code: 'CORRUPT',
      message: new RegExp(`taking over blob ${layer.digest} of oci:`),
    });
    assert.equal(traffic.blobBytesSent, 0);

    const file = join(writer.stagingDirectory, 'layer');
    writeFileSync(file, bytes);
    await writer.addBlob(file, layer);
    for (const other of image.manifest.layers.slice(1)) {
      await writer.mountBlob(other, image);
    }
    const { config, manifest } = previous;
    await writer.commit({ config, manifest, platform: undefined });
    await validateImage(await openImage(ref('os/damaged:x'), options));
  });

  test('a discarded image is not visible', async () => {
    const writer = await createImage(ref('os/discarded:x'), options);
    const file = join(writer.stagingDirectory, 'layer');
    writeFileSync(file, gzipped(noise('a', 3 * MIB)));
    await writer.addBlob(file, {
      mediaType: 'x',
      ...(previous.layers[1] as (typeof previous.layers)[number]),
    });
    await writer.discard();
    await writer.discard();
    assert.ok(!existsSync(writer.stagingDirectory));
    await assert.rejects(openImage(ref('os/discarded:x'), options), { code: 'NOT_FOUND' });
  });

  test('Ctrl-C ends a push, and the image is not visible', async () => {
    const interrupt = new AbortController();
    const writer = await createImage(ref('os/interrupted:x'), {
      ...options,
      signal: interrupt.signal,
    });
    const image = await openImage(previous.imgref);
    for (const layer of image.manifest.layers) {
      await writer.mountBlob(layer, image);
    }
    interrupt.abort();
    const push = writer.commit({
      config: previous.config,
      manifest: previous.manifest,
      platform: undefined,
    });
    await assert.rejects(push, { code: 'CANCELLED' });
    await writer.discard();
    await assert.rejects(openImage(ref('os/interrupted:x'), options), { code: 'NOT_FOUND' });
  });

  test('the error for a missing image names it and shows the message of the registry', async () => {
    for (const name of ['os/nowhere:x', `os/nowhere@${previous.manifestDigest}`]) {
      await assert.rejects(openImage(ref(name), options), (error: OstrataError) => {
        assert.equal(error.code, 'NOT_FOUND');
        assert.match(error.message, /os\/nowhere.*MANIFEST_UNKNOWN/);
        return true;
      });
    }
    for (const [name, message] of [
      ['os/nowhere:x', /has no repository os\/nowhere/],
      ['os/base:previos', /no tag previos in the repository os\/base; did you mean previous\?/],
      ['os/base:1', /no tag 1 in the repository os\/base; tags: .*previous/],
    ] as const) {
      await assert.rejects(openImage(ref(name), options), { code: 'NOT_FOUND', message });
    }
    await assert.rejects(createImage(ref(`os/base@${previous.manifestDigest}`), options), {
      code: 'USAGE',
    });
  });

  test('a registry on this machine is reached over plain http unless https is asked for', async () => {
    const image = await openImage(ref('os/base:previous'));
    assert.equal(image.manifestDigest, previous.manifestDigest);
    await assert.rejects(openImage(ref('os/base:previous'), { tlsVerify: true }), {
      code: 'IO',
      message: /the server speaks HTTP, not HTTPS; .*--tls-verify=false$/,
    });
  });

  suite('skopeo and podman', needs('skopeo'), () => {
    test('skopeo pulls what we push, and we pull what skopeo pushes', async () => {
      await copy(next.imgref, ref('os/ours:next'), options);
      const theirs = join(scratch, 'skopeo');
      run('skopeo', [
        'copy',
        '-q',
        '--src-tls-verify=false',
        ref('os/ours:next'),
        `oci:${theirs}:x`,
      ]);
      assertSameImage(theirs, next);
      run('skopeo', ['copy', '-q', '--dest-tls-verify=false', next.imgref, ref('os/theirs:next')]);
      const ours = join(scratch, 'of-skopeo');
      await copy(ref('os/theirs:next'), `oci:${ours}:x`, options);
      assertSameImage(ours, next);
    });

    test('an image in the format of Docker (v2s2) is read', async () => {
      run('skopeo', [
        'copy',
        '-q',
        '--format=v2s2',
        '--dest-tls-verify=false',
        previous.imgref,
        ref('os/docker:previous'),
      ]);
      const image = await openImage(ref('os/docker:previous'), options);
      assert.match(image.manifest.mediaType ?? '', /vnd\.docker\.distribution\.manifest\.v2/);
      await validateImage(image);
      const pulled = join(scratch, 'docker');
      await copy(ref('os/docker:previous'), `oci:${pulled}:x`, options);
      await validateImage(await openImage(`oci:${pulled}:x`));
    });

    test('podman pulls what we push', needs('podman', 'root', 'tar'), async () => {
      const tree = join(scratch, 'tree');
      mkdirSync(tree);
      writeFileSync(join(tree, 'hello'), 'hello\n');
      run('tar', ['-C', tree, '-cf', join(scratch, 'layer.tar'), 'hello']);
      const image = await writeTestImage(join(scratch, 'images'), 'podman', [
        readFileSync(join(scratch, 'layer.tar')),
      ]);
      await copy(image.imgref, ref('os/podman:x'), options);
      const storage = [
        '--root',
        join(scratch, 'storage'),
        '--runroot',
        join(scratch, 'run'),
        '--storage-driver=vfs',
      ];
      const id = run('podman', [
        ...storage,
        'pull',
        '-q',
        '--tls-verify=false',
        ref('os/podman:x'),
      ]).trim();
      assert.equal(
        `sha256:${id}`,
        JSON.parse(Buffer.from(image.manifest).toString()).config.digest,
      );
      run('podman', [...storage, 'rmi', '-f', id]);
    });
  });
});

suite(
  'registry over https with a password',
  needs('docker-registry', 'openssl', 'htpasswd'),
  () => {
    let scratch: string;
    let certificates: TestCertificates;
    let certDirectory: string;
    let registry: Registry;
    let image: TestImage;

    before(async () => {
      scratch = scratchDirectory();
      certificates = makeCertificates(join(scratch, 'keys'));
      certDirectory = join(scratch, 'certs');
      mkdirSync(certDirectory);
      copyFileSync(certificates.ca, join(certDirectory, 'ca.crt'));
      const htpasswd = join(scratch, 'htpasswd');
      run('htpasswd', ['-Bbc', htpasswd, user, password]);
      registry = await startRegistry(join(scratch, 'registry'), { tls: certificates, htpasswd });
      image = await writeTestImage(join(scratch, 'images'), 'x', [
        noise('a', 2 * MIB),
        noise('b', 1000),
      ]);
    });
    after(async () => {
      await registry.stop();
    });
    const imgref = (path = 'os/base:x') => `docker://${registry.host}/${path}`;

    test('push and pull work with a private CA and a password', async () => {
      const options = { certDirectory, credentials: { username: user, password } };
      assert.equal((await copy(image.imgref, imgref(), options)).blobBytesSent, image.size);
      const pulled = join(scratch, 'pulled');
      await copy(imgref(), `oci:${pulled}:x`, options);
      assertSameImage(pulled, image);
    });

    test('an authfile of skopeo is read; the entry for a repository takes precedence', async () => {
      const authfile = join(scratch, 'auth.json');
      const login = [
        'login',
        '--authfile',
        authfile,
        '--cert-dir',
        certDirectory,
        '-u',
        user,
        '--password-stdin',
      ];
      run('skopeo', [...login, registry.host], { input: Buffer.from(password) });
      await copy(image.imgref, imgref('os/authfile:x'), { certDirectory, authfile });
      const { auths } = JSON.parse(readFileSync(authfile, 'utf8'));
      const entry = auths[registry.host];
      const wrong = { auth: Buffer.from('bob:no').toString('base64') };
      writeFileSync(
        authfile,
        JSON.stringify({
          auths: { [registry.host]: wrong, [`${registry.host}/os/authfile`]: entry },
        }),
      );
      await openImage(imgref('os/authfile:x'), { certDirectory, authfile });
      await assert.rejects(openImage(imgref('os/base:x'), { certDirectory, authfile }), {
        code: 'IO',
      });
    });

    test('the errors for a missing CA and for missing or wrong credentials contain no secrets', async () => {
      const authfile = join(scratch, 'none.json');
      writeFileSync(authfile, '{}');
      for (const [options, message] of [
        [{ credentials: { username: user, password } }, /certificate/],
        [
          { certDirectory, authfile },
          /401.*UNAUTHORIZED.*no credentials for .* in .*none\.json; log in with `podman login/,
        ],
        [
          { certDirectory, credentials: { username: user, password: 'wrong-password' } },
          /401.*UNAUTHORIZED.*the credentials of alice do not suffice; log in with/,
        ],
      ] as const) {
        for (const action of [openImage, createImage]) {
          await assert.rejects(action(imgref(), options), (error: OstrataError) => {
            assert.match(error.message, message);
            assert.doesNotMatch(error.message, /wrong-password|p:ss/);
            return true;
          });
        }
      }
    });

    test('--tls-verify=false accepts any certificate and still uses https', async () => {
      await openImage(imgref(), { tlsVerify: false, credentials: { username: user, password } });
    });

    test('a client certificate is used, and one without its key is refused', async () => {
      const mutual = await startRegistry(join(scratch, 'mutual'), {
        tls: { ...certificates, clientCa: certificates.ca },
      });
      try {
        const target = `docker://${mutual.host}/os/mutual:x`;
        await assert.rejects(createImage(target, { certDirectory, retries: 0 }), { code: 'IO' });
        const withClient = join(scratch, 'client-certs');
        mkdirSync(withClient);
        copyFileSync(certificates.ca, join(withClient, 'ca.crt'));
        copyFileSync(certificates.clientCertificate, join(withClient, 'us.cert'));
        await assert.rejects(
          createImage(target, { certDirectory: withClient }),
          /found us\.cert, but not us\.key/,
        );
        copyFileSync(certificates.clientKey, join(withClient, 'us.key'));
        await copy(image.imgref, target, { certDirectory: withClient });
      } finally {
        await mutual.stop();
      }
    });
  },
);

suite('registry with a token server', needs('docker-registry', 'openssl'), () => {
  let scratch: string;
  let tokens: TokenServer;
  let registry: Registry;
  let image: TestImage;
  const identityToken = 'identity-of-alice';

  before(async () => {
    scratch = scratchDirectory();
    const { ca, certificate, key } = makeCertificates(join(scratch, 'keys'));
    tokens = await startTokenServer({ key, certificate, user, password, identityToken });
    registry = await startRegistry(join(scratch, 'registry'), {
      token: { ...tokens, rootCert: ca },
    });
    image = await writeTestImage(join(scratch, 'images'), 'x', [
      noise('a', 200_000),
      noise('b', 1000),
    ]);
  });
  after(async () => {
    await registry.stop();
    await tokens.stop();
  });
  const imgref = (path: string) => `docker://${registry.host}/${path}`;

  test('push, pull and mount need one token for each set of rights', async () => {
    const options = { tlsVerify: false, credentials: { username: user, password } };
    await copy(image.imgref, imgref('os/one:x'), options);
    assert.deepEqual(tokens.requests.splice(0), [`${user} repository:os/one:pull,push`]);
    const traffic = await copy(imgref('os/one:x'), imgref('os/two:x'), options);
    assert.equal(traffic.blobBytesSent, image.config.length);
    assert.deepEqual(tokens.requests.splice(0), [
      `${user} repository:os/one:pull`,
      `${user} repository:os/two:pull,push`,
      `${user} repository:os/two:pull,push repository:os/one:pull`,
    ]);
  });

  test('an anonymous push is refused with the message of the registry, a pull works', async () => {
    const authfile = join(scratch, 'none.json');
    writeFileSync(authfile, '{}');
    const options = { tlsVerify: false, authfile };
    await openImage(imgref('os/one:x'), options);
    await assert.rejects(createImage(imgref('os/one:y'), options), /401.*UNAUTHORIZED/);
  });

  test('an identity token is used instead of a password', async () => {
    const authfile = join(scratch, 'identity.json');
    writeFileSync(
      authfile,
      JSON.stringify({ auths: { [registry.host]: { identitytoken: identityToken } } }),
    );
    tokens.requests.length = 0;
    await copy(image.imgref, imgref('os/identity:x'), { tlsVerify: false, authfile });
    assert.deepEqual(tokens.requests, [`${user} repository:os/identity:pull,push`]);
  });

  test('the error for a wrong password shows the message of the token server', async () => {
    const options = {
      tlsVerify: false,
      credentials: { username: user, password: 'wrong-password' },
    };
    await assert.rejects(createImage(imgref('os/one:x'), options), (error: OstrataError) => {
      assert.match(error.message, /token.*401.*incorrect username or password/);
      assert.doesNotMatch(error.message, /wrong-password/);
      return true;
    });
  });
});
