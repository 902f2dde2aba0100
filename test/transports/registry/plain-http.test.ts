// Plain HTTP: which registries are spoken to without TLS, and what they are sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openImage } from '../../../src/transports/image-reference.js';
import { isThisMachine } from '../../../src/transports/registry/proxy.js';

import { credentials, secrets, withServer } from '../../support/fault-bench.js';

test('only localhost and loopback addresses are this machine', () => {
  const isOurs = (host: string) => isThisMachine(new URL(`http://${host}/`));
  for (const host of ['localhost', 'LOCALHOST:5000', '127.0.0.1', '127.9.8.7:80', '[::1]:5000']) {
    assert.ok(isOurs(host), host);
  }
  for (const host of ['localhost.example', '127.0.0.1.example', '10.0.0.1', '[::2]', '128.0.0.1']) {
    assert.ok(!isOurs(host), host);
  }
});

test('a registry on this machine that speaks plain HTTP gets credentials when it asks', () => {
  const seen: string[] = [];
  return withServer(
    (request, response) => {
      seen.push(`${request.url} ${request.headers.authorization ?? 'anonymous'}`);
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    },
    async (url) => {
      const imgref = `${url.replace('http:', 'docker:')}/os/base:1`;
      await assert.rejects(openImage(imgref, { credentials }), { code: 'IO', message: /401/ });
      const basic = Buffer.from(`${credentials.username}:${credentials.password}`);
      assert.deepEqual(seen, [
        '/v2/os/base/manifests/1 anonymous',
        `/v2/os/base/manifests/1 Basic ${basic.toString('base64')}`,
      ]);

      seen.length = 0;
      const secure = openImage(imgref, { credentials, tlsVerify: true });
      await assert.rejects(secure, {
        code: 'IO',
        message: /HTTP, not HTTPS; .*--tls-verify=false$/,
      });
      assert.deepEqual(seen, [], 'nothing is sent without TLS');
    },
  );
});

test('a registry on this machine cannot have secrets sent to another one without TLS', () => {
  const headers = { 'www-authenticate': 'Bearer realm="http://token.invalid/token"' };
  return withServer(
    (_, response) => response.writeHead(401, headers).end(),
    async (url) => {
      const imgref = `${url.replace('http:', 'docker:')}/os/base:1`;
      await assert.rejects(openImage(imgref, { credentials }), (error: Error) => {
        assert.match(error.message, /token of http:\/\/token\.invalid, which is not secure/);
        assert.doesNotMatch(error.message, secrets);
        return true;
      });
    },
  );
});

test('a password goes to the token server that the registry names, the registry gets the token', () => {
  const toRegistry: (string | undefined)[] = [];
  const toTokenServer: (string | undefined)[] = [];
  return withServer(
    (request, response) => {
      toTokenServer.push(request.headers.authorization);
      response.end(JSON.stringify({ token: 'a-token' }));
    },
    (tokenServer) =>
      withServer(
        (request, response) => {
          toRegistry.push(request.headers.authorization);
          const isAllowed = request.headers.authorization === 'Bearer a-token';
          const challenge = `Bearer realm="${tokenServer}/token",service="s"`;
          response.writeHead(isAllowed ? 200 : 401, { 'www-authenticate': challenge }).end('{}');
        },
        async (url) => {
          const imgref = `${url.replace('http:', 'docker:')}/os/base:1`;
          await assert.rejects(openImage(imgref, { credentials }), { code: 'CORRUPT' });
          assert.deepEqual(toRegistry, [undefined, 'Bearer a-token']);
          assert.equal(toTokenServer.length, 1);
          assert.match(toTokenServer[0] ?? '', secrets);
        },
      ),
  );
});
