// HTTP proxies: how one is chosen, and what it is shown.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createServer, request as forward, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import { proxyFor } from '../../../src/transports/registry/proxy.js';
import { copyImage } from '../../support/copy-blobs.js';
import { makeCertificates, type Registry, startRegistry } from '../../support/docker-registry.js';
import { noise, writeTestImage } from '../../support/random-images.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

test('the proxy is chosen as Go chooses it', () => {
  const environment = {
    HTTPS_PROXY: 'http://proxy:3128',
    http_proxy: 'plain.proxy:80',
    NO_PROXY: 'example.com, .sub.net,10.0.0.0/8,192.168.1.1 host:5000 [fd00::1]',
  };
  for (const [url, expected] of [
    ['https://quay.io/', 'http://proxy:3128/'],
    ['http://quay.io/', 'http://plain.proxy/'],
    ['https://example.com/', undefined],
    ['https://a.example.com/', undefined],
    ['https://notexample.com/', 'http://proxy:3128/'],
    ['https://sub.net/', 'http://proxy:3128/'],
    ['https://a.sub.net/', undefined],
    ['https://10.1.2.3:5000/', undefined],
    ['https://11.1.2.3/', 'http://proxy:3128/'],
    ['https://192.168.1.1/', undefined],
    ['https://host:5000/', undefined],
    ['https://host/', 'http://proxy:3128/'],
    ['https://[fd00::1]/', undefined],
    ['https://localhost/', undefined],
    ['https://127.1.2.3/', undefined],
    ['https://[::1]/', undefined],
  ] as const) {
    assert.equal(proxyFor(new URL(url), environment)?.href, expected, url);
  }
  assert.equal(
    proxyFor(new URL('https://quay.io/'), { NO_PROXY: '*', HTTPS_PROXY: 'x' }),
    undefined,
  );
  const refuse = (value: string) => () =>
    proxyFor(new URL('https://quay.io/'), { HTTPS_PROXY: value });
  assert.throws(refuse('socks5://user:secret@proxy'), {
    code: 'USAGE',
    message: /^HTTPS_PROXY: .*socks5:(?!.*secret)/,
  });
  assert.throws(refuse('http://user:50%secret@proxy'), {
    code: 'USAGE',
    message: /^HTTPS_PROXY: .*%25$/,
  });
  assert.throws(refuse('http://user:secret@[x'), {
    code: 'USAGE',
    message: /^HTTPS_PROXY: is not a URL$/,
  });
});

suite('registry behind a proxy', needs('docker-registry', 'openssl'), () => {
  const scratch = scratchDirectory();
  const seen: {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  const authorization = `Basic ${Buffer.from('p user:p@ss').toString('base64')}`;
  let registry: Registry;
  let proxy: ReturnType<typeof createServer>;

  before(async () => {
    const certificates = makeCertificates(join(scratch, 'keys'));
    mkdirSync(join(scratch, 'certs'));
    copyFileSync(certificates.ca, join(scratch, 'certs/ca.crt'));
    registry = await startRegistry(join(scratch, 'registry'), { tls: certificates });
    const port = () => Number(registry.host.split(':')[1]);
    // registry.test is a name that only the proxy knows.
    proxy = createServer((request, response) => {
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
      const { pathname, search } = new URL(request.url ?? '');
      if (request.headers['proxy-authorization'] !== authorization) {
        return response.writeHead(407).end();
      }
      const out = forward({
        port: plainPort,
        method: request.method,
        path: `${pathname}${search}`,
        headers: request.headers,
      });
      out.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      return request.pipe(out);
    });
    proxy.on('connect', (request, socket) => {
      seen.push({ method: 'CONNECT', url: request.url ?? '', headers: request.headers });
      if (request.headers['proxy-authorization'] !== authorization) {
        return socket.end('HTTP/1.1 407 No\r\n\r\n');
      }
      const upstream = connect(port(), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(upstream).pipe(socket);
      });
      upstream.on('error', () => socket.destroy());
      return socket.on('error', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    plain = await startRegistry(join(scratch, 'plain'));
    plainPort = Number(plain.host.split(':')[1]);
  });
  let plain: Registry;
  let plainPort = 0;
  after(async () => {
    await registry.stop();
    await plain.stop();
    proxy.close();
    proxy.closeAllConnections();
    delete process.env.HTTPS_PROXY;
    delete process.env.HTTP_PROXY;
  });
  const proxyUrl = (user: string) =>
    `http://${user}@127.0.0.1:${(proxy.address() as AddressInfo).port}`;

  test('https goes through a tunnel, and only the proxy sees its password', async () => {
    process.env.HTTPS_PROXY = proxyUrl('p%20user:p%40ss');
    const options = { certDirectory: join(scratch, 'certs') };
    const image = await writeTestImage(join(scratch, 'image'), 'x', [noise('a', 300_000)]);
    await copyImage(
      await openImage(image.imgref),
      await createImage('docker://registry.test/os/x:x', options),
    );
    const pushed = await openImage('docker://registry.test/os/x:x', options);
    assert.equal(pushed.manifestDigest, image.manifestDigest);
    assert.ok(seen.length > 0);
    for (const { method, url } of seen.splice(0)) {
      assert.deepEqual([method, url], ['CONNECT', 'registry.test:443']);
    }
  });

  test('the error for a proxy that refuses does not show its password', async () => {
    process.env.HTTPS_PROXY = proxyUrl('user:secret-of-proxy');
    await assert.rejects(openImage('docker://registry.test/os/x:x', { retries: 0 }), {
      message: /^(?!.*secret-of-proxy).*the proxy refuses the connection: HTTP status 407/,
    });
    seen.length = 0;
  });

  test('http requests reach the proxy with the whole URL', async () => {
    delete process.env.HTTPS_PROXY;
    process.env.HTTP_PROXY = proxyUrl('p%20user:p%40ss');
    const image = await writeTestImage(join(scratch, 'image'), 'y', [noise('b', 300_000)]);
    const options = { tlsVerify: false };
    await copyImage(
      await openImage(image.imgref),
      await createImage('docker://registry.test/os/x:y', options),
    );
    assert.equal(
      (await openImage('docker://registry.test/os/x:y', options)).manifestDigest,
      image.manifestDigest,
    );
    assert.ok(seen.length > 0);
    for (const { url } of seen) {
      assert.match(url, /^http:\/\/registry\.test\/v2\//);
    }
  });
});
