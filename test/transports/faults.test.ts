import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, suite, test } from 'node:test';
import type { OstrataError } from '../../src/errors.js';
import { MAX_JSON_SIZE } from '../../src/oci/types.js';
import { validateImage } from '../../src/oci/validate.js';
import { copyImage } from '../../src/transports/copy.js';
import { createImage, openImage } from '../../src/transports/imgref.js';
import { needs } from '../tools.js';
import { type Registry, startRegistry } from './docker-registry.js';
import { type Fault, type FaultProxy, type SeenRequest, startFaultProxy } from './fault-proxy.js';
import { newTraffic, noise, type TestImage, writeTestImage } from './images.js';

const MIB = 1 << 20;
const BIG = 3 * MIB;
const STALL = 400;
const credentials = { username: 'alice', password: 'very-secret' };
const secrets = new RegExp(`very-secret|${Buffer.from('alice:very-secret').toString('base64')}`);

suite('a registry behind a bad network', needs('docker-registry'), () => {
  let scratch: string;
  let registry: Registry;
  let proxy: FaultProxy;
  let image: TestImage;
  let number = 0;
  const options = { tlsVerify: false, retries: 2, stallTimeout: STALL, credentials };

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
    registry = await startRegistry(join(scratch, 'registry'));
    proxy = await startFaultProxy(registry.host);
    image = await writeTestImage(join(scratch, 'images'), 'x', [noise('small', 1000), noise('big', BIG)]);
    await copyImage(await openImage(image.imgref), await createImage(`docker://${registry.host}/os/good:x`, options));
  });
  after(async () => {
    await proxy.stop();
    await registry.stop();
    rmSync(scratch, { recursive: true, force: true });
  });
  afterEach(() => {
    proxy.fault = () => undefined;
    proxy.seen.length = 0;
  });

  const big = () => image.layers[1] as (typeof image.layers)[number];
  const manifest = ({ path }: SeenRequest) => path.includes('/manifests/');
  const blob = ({ path }: SeenRequest) => path.endsWith(`/blobs/${big().digest}`);
  const config = ({ path }: SeenRequest) =>
    path.includes('/blobs/') && !image.layers.some(({ digest }) => path.endsWith(digest));

  /** The fault happens to the first `times` requests that fit. */
  function inject(fits: (request: SeenRequest) => boolean, fault: Fault, times = 1): void {
    let left = times;
    proxy.fault = (request) => (fits(request) && left-- > 0 ? fault : undefined);
  }

  async function pull(more: object = {}) {
    const traffic = newTraffic();
    const pulled = `oci:${join(scratch, `pulled-${++number}`)}:x`;
    const reader = await openImage(`docker://${proxy.host}/os/good:x`, { ...options, traffic, ...more });
    await copyImage(reader, await createImage(pulled));
    await validateImage(await openImage(pulled));
    return traffic;
  }

  async function push(more: object = {}) {
    const traffic = newTraffic();
    const name = `os/pushed-${++number}:x`;
    const target = await createImage(`docker://${proxy.host}/${name}`, { ...options, traffic, ...more });
    await copyImage(await openImage(image.imgref), target);
    proxy.fault = () => undefined;
    const pushed = await openImage(`docker://${registry.host}/${name}`, options);
    assert.equal(pushed.manifestDigest, image.manifestDigest);
    await validateImage(pushed);
    return traffic;
  }

  async function refused(action: () => Promise<unknown>, expected: RegExp, code?: string): Promise<void> {
    await assert.rejects(action(), (error: OstrataError) => {
      assert.equal(error.name, 'OstrataError', String(error.stack));
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /\n/);
      assert.doesNotMatch(error.message, secrets);
      if (code) assert.equal(error.code, code);
      return true;
    });
  }

  /** Nothing of the last push or pull can be taken for an image. */
  async function assertNothingThere(): Promise<void> {
    proxy.fault = () => undefined;
    await assert.rejects(openImage(`docker://${registry.host}/os/pushed-${number}:x`, options), { code: 'NOT_FOUND' });
    await assert.rejects(openImage(`oci:${join(scratch, `pulled-${number}`)}:x`), { code: 'NOT_FOUND' });
  }

  const brief: readonly (readonly [string, Fault])[] = [
    ['a reset', { reset: 'before' }],
    ['a lost answer', { reset: 'after' }],
    ['no answer', { stall: true }],
    ['status 500', { status: 500 }],
    ['status 503 with text', { status: 503, body: '<html>busy</html>' }],
    ['status 429', { status: 429, headers: { 'retry-after': '0' } }],
  ];

  suite('pull', () => {
    for (const [what, fault] of [
      ...brief,
      ['a body that is cut', { cut: 100, end: 'reset' }],
      ['a body that stalls', { cut: 100, end: 'stall' }],
    ] as const)
      for (const [where, fits] of [
        ['manifest', manifest],
        ['config', config],
        ['layer', blob],
      ] as const) {
        test(`${what} at the ${where} is got over`, async () => {
          inject(fits, fault);
          await pull();
        });
        test(`${what} at the ${where} again and again is an error`, async () => {
          inject(fits, fault, Infinity);
          await refused(() => pull({ retries: 1 }), /127\.0\.0\.1/, 'IO');
          await assertNothingThere();
        });
      }

    test('a layer that broke off goes on where it was', async () => {
      for (const end of ['reset', 'stall'] as const) {
        proxy.seen.length = 0;
        inject(blob, { cut: 2 * MIB, end }, 3);
        const traffic = await pull();
        const ranges = proxy.seen.filter(blob).map(({ headers }) => headers.range);
        assert.equal(ranges.length, 2, end);
        assert.match(String(ranges[1]), /^bytes=\d+-$/);
        assert.equal(traffic.blobBytesReceived, image.size, 'nothing is fetched twice');
      }
    });

    test('a registry without ranges sends all again, and it is put together rightly', async () => {
      let cuts = 0;
      proxy.fault = (request) => {
        if (!blob(request)) return undefined;
        delete request.headers.range;
        return cuts++ === 0 ? { cut: 2 * MIB, end: 'reset' } : undefined;
      };
      assert.ok((await pull()).blobBytesReceived > image.size + MIB);
    });

    test('wrong bytes are an error', async () => {
      for (const fits of [manifest, config, blob]) {
        inject(fits, { flip: 'answer', at: 200 }, Infinity);
        await refused(() => pull(), /digest/, 'CORRUPT');
        await assertNothingThere();
      }
    });

    test('a wrong Content-Length is an error at once', async () => {
      inject(blob, { headers: { 'content-length': '17' } }, Infinity);
      await refused(() => pull(), /announces 17 bytes/, 'CORRUPT');
      inject(blob, { headers: { 'content-length': String(1e12) } }, Infinity);
      await refused(() => pull(), /announces 1000000000000 bytes/, 'CORRUPT');
      inject(manifest, { headers: { 'content-length': String(1e12) } }, Infinity);
      await refused(() => pull({ retries: 0 }), /nothing happened|ECONN|aborted|hang up/, 'IO');
    });

    test('an endless body is cut off', async () => {
      inject(blob, { cut: BIG, end: 'endless' }, Infinity);
      await refused(() => pull(), /more than its \d+ bytes/, 'CORRUPT');
      inject(manifest, { cut: 10, end: 'endless' }, Infinity);
      await refused(() => pull(), new RegExp(`more than ${MAX_JSON_SIZE} bytes`), 'LIMIT');
      await assertNothingThere();
    });

    test('bytes from another range are an error', async () => {
      let requests = 0;
      proxy.fault = (request) => {
        if (!blob(request)) return undefined;
        return requests++ === 0
          ? { cut: MIB, end: 'reset' }
          : { status: 206, headers: { 'content-range': `bytes 0-9/${big().size}` }, body: '0123456789' };
      };
      await refused(() => pull(), /range/, 'CORRUPT');
    });

    test('Retry-After is kept to, and too long a wait is the user’s to decide', async () => {
      inject(blob, { status: 429, headers: { 'retry-after': '2' } });
      const start = performance.now();
      await pull();
      assert.ok(performance.now() - start >= 1900);
      inject(blob, { status: 429, headers: { 'retry-after': '3600' }, body: 'come back later' });
      await refused(() => pull(), /429: come back later/, 'IO');
    });

    test('the errors of the registry are told, on one line and without control characters', async () => {
      const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not\nfor\u001b[31m you' }] });
      inject(manifest, { status: 403, body }, Infinity);
      await refused(() => pull(), /403: DENIED: not for \[31m you/, 'IO');
    });

    test('a slow blob is not cut off', async () => {
      // Consumers may be slow too: nothing is waited for meanwhile.
      const reader = await openImage(`docker://${proxy.host}/os/good:x`, options);
      let size = 0;
      for await (const chunk of reader.blob({ mediaType: '', ...big() })) {
        if (size === 0) await new Promise((resolve) => setTimeout(resolve, 3 * STALL));
        size += chunk.length;
      }
      assert.equal(size, big().size);
      assert.equal(proxy.seen.filter(blob).length, 1);
    });
  });

  suite('push', () => {
    const post = ({ method }: SeenRequest) => method === 'POST';
    const put = ({ method, path, headers }: SeenRequest) =>
      (method === 'PUT' || method === 'PATCH') && path.includes('/uploads/') && Number(headers['content-length']) > MIB;
    const head = ({ method }: SeenRequest) => method === 'HEAD';
    const putManifest = (request: SeenRequest) => request.method === 'PUT' && manifest(request);

    for (const [what, fault] of brief)
      for (const [where, fits] of [
        ['start of an upload', post],
        ['question for a blob', head],
        ['upload', put],
        ['manifest', putManifest],
      ] as const) {
        test(`${what} at the ${where} is got over`, async () => {
          inject(fits, fault);
          await push();
        });
        test(`${what} at the ${where} again and again is an error`, async () => {
          inject(fits, fault, Infinity);
          await refused(() => push({ retries: 1 }), /127\.0\.0\.1/, 'IO');
          // The answer to a manifest may be lost when it is there.
          if (!(where === 'manifest' && 'reset' in fault && fault.reset === 'after')) await assertNothingThere();
        });
      }

    test('an upload that broke off is got over', async () => {
      inject(put, { resetInRequest: 2 * MIB });
      await push();
      inject(put, { resetInRequest: 2 * MIB }, Infinity);
      await refused(() => push(), /PUT/, 'IO');
      await assertNothingThere();
    });

    test('an upload goes on where it was, with a registry that can', async () => {
      const received = await resumableUpload();
      assert.equal(received.digest, big().digest);
      assert.ok(received.bytes <= big().size + MIB, `${received.bytes} bytes for ${big().size}`);
    });

    test('bytes changed on the way are refused by the registry', async () => {
      inject(put, { flip: 'request', at: 1000 }, Infinity);
      await refused(() => push(), /DIGEST_INVALID/, 'IO');
      await assertNothingThere();
    });

    test('an upload session that is gone is begun anew', async () => {
      inject(put, { status: 404, body: JSON.stringify({ errors: [{ code: 'BLOB_UPLOAD_UNKNOWN' }] }) });
      await push();
    });

    test('what is too large for one request goes in chunks', async () => {
      inject((request) => put(request) && request.method === 'PUT', { status: 413 }, Infinity);
      await push();
      assert.ok(proxy.seen.some(({ method }) => method === 'PATCH'));
    });

    test('a registry that says it has stored another manifest is not believed', async () => {
      inject(putManifest, { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } });
      await refused(() => push(), /has stored the manifest/, 'CORRUPT');
    });

    test('a registry that has another size of a blob is not believed', async () => {
      inject((request) => head(request) && blob(request), { status: 200, headers: { 'content-length': '5' } });
      await refused(() => push(), /5 bytes of it instead of/, 'CORRUPT');
    });
  });

  /** Uploads the large layer to a registry that keeps what it got of a broken request. */
  async function resumableUpload(): Promise<{ digest: string; bytes: number }> {
    const stored: Buffer[] = [];
    let bytes = 0;
    let broken = false;
    const size = () => stored.reduce((sum, { length }) => sum + length, 0);
    const server = createServer(async (request, response) => {
      const { method, url = '' } = request;
      const location = { location: `/v2/os/x/blobs/uploads/1?state=${size()}` };
      if (method === 'HEAD') return response.writeHead(404).end();
      if (method === 'POST') return response.writeHead(202, location).end();
      if (method === 'GET')
        return response.writeHead(204, { ...location, range: `0-${Math.max(0, size() - 1)}` }).end();
      if (url.includes('/manifests/')) return response.writeHead(201).end();
      const range = request.headers['content-range'];
      if (range !== undefined && !range.startsWith(`${size()}-`)) return response.writeHead(416).end();
      for await (const chunk of request as AsyncIterable<Buffer>) {
        stored.push(chunk);
        bytes += chunk.length;
        if (!broken && size() > 2 * MIB) {
          broken = true;
          return request.socket.resetAndDestroy();
        }
      }
      return response.writeHead(method === 'PUT' ? 201 : 202, location).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const writer = await createImage(`docker://127.0.0.1:${port}/os/x:x`, options);
    await writer.reuse({ mediaType: '', ...big() }, await openImage(image.imgref));
    // The commit adds the config; the layer is what came before.
    await new Promise<void>((resolve) => {
      const wait = setInterval(() => {
        if (size() < big().size) return;
        clearInterval(wait);
        resolve();
      }, 20);
    });
    const digest = `sha256:${createHash('sha256').update(Buffer.concat(stored)).digest('hex')}`;
    await writer.discard();
    server.close();
    server.closeAllConnections();
    return { digest, bytes };
  }

  suite('credentials', () => {
    const challenge = { 'www-authenticate': 'Basic realm="test"' };
    const isAnonymous = ({ headers }: SeenRequest) => headers.authorization === undefined;
    let other: { readonly url: string; readonly seen: IncomingMessage[]; stop(): void };

    before(async () => {
      const seen: IncomingMessage[] = [];
      const server = createServer((request, response) => {
        seen.push(request);
        response.writeHead(200, { 'content-length': big().size }).end(noiseBlob());
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      other = {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        seen,
        stop: () => server.close(() => {}),
      };
    });
    after(() => other.stop());
    const noiseBlob = () => image.blobs[1] as Buffer;

    test('a redirect to another host does not take them along', async () => {
      proxy.fault = (request) => {
        if (isAnonymous(request)) return { status: 401, headers: challenge };
        return blob(request) ? { status: 307, headers: { location: `${other.url}/there?signature=1` } } : undefined;
      };
      await pull();
      assert.ok(proxy.seen.some((request) => blob(request) && !isAnonymous(request)));
      assert.equal(other.seen.length, 1);
      assert.equal(other.seen[0]?.headers.authorization, undefined);
      assert.doesNotMatch(JSON.stringify(other.seen[0]?.headers), secrets);
    });

    test('a redirect with a user in it, in circles, or to nowhere', async () => {
      const to = (location: string) => inject(blob, { status: 302, headers: { location } }, Infinity);
      to(`${other.url.replace('//', '//bob:pw@')}/there`);
      await pull();
      assert.equal(other.seen.at(-1)?.headers.authorization, undefined);
      to(`/v2/os/good/blobs/${big().digest}`);
      await refused(() => pull(), /more than 5 redirects/, 'LIMIT');
      to('ftp://127.0.0.1/x');
      await refused(() => pull(), /not secure/, 'IO');
    });

    test('an upload that is to go to another host does without them', async () => {
      const posts: SeenRequest[] = [];
      proxy.fault = (request) => {
        if (isAnonymous(request)) return { status: 401, headers: challenge };
        if (request.method !== 'POST') return undefined;
        posts.push(request);
        return { status: 202, headers: { location: `${other.url}/upload` } };
      };
      other.seen.length = 0;
      await refused(() => push({ retries: 0 }), /HTTP status 200/);
      assert.ok(posts.length > 0 && other.seen.length > 0);
      for (const { headers } of other.seen) assert.equal(headers.authorization, undefined);
    });

    test('401 in the middle is answered by a new token', async () => {
      let issued = 0;
      let revoked = 0;
      const server = createServer((request, response) => {
        assert.match(String(request.headers.authorization), secrets);
        response.end(JSON.stringify({ access_token: `token-${++issued}`, expires_in: 3600 }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
      const headers = { 'www-authenticate': `Bearer realm="${realm}",service="s"` };
      try {
        for (const action of [pull, push]) {
          let requests = 0;
          const before = issued;
          proxy.fault = (request) => {
            if (++requests === 4) revoked = issued;
            const isValid = issued > revoked && request.headers.authorization === `Bearer token-${issued}`;
            return isValid ? undefined : { status: 401, headers };
          };
          await action();
          assert.equal(issued - before, 2);
        }
        // A registry that never has enough.
        proxy.fault = () => ({ status: 401, headers, body: `I saw token-${issued} and very-secret` });
        await refused(() => pull(), /401.*\*\*\*/, 'IO');
      } finally {
        server.close();
        server.closeAllConnections();
      }
    });
  });
});
