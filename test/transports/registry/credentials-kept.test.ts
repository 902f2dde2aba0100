// Credentials go only to the registry and its token server, whatever the registry responds.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { after, before, suite } from 'node:test';
import type { Logger } from '../../../src/log.js';
import {
  FaultBench,
  type FaultTest,
  faultTest,
  secrets,
  withServer,
} from '../../support/fault-bench.js';
import type { SeenRequest } from '../../support/fault-proxy.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

suite('credentials go only to the registry and its token server', needs('docker-registry'), () => {
  let bench: FaultBench;
  before(async () => {
    bench = await FaultBench.start();
  });
  after(() => bench.stop());
  const check = (name: string, body: (given: FaultTest) => Promise<void>) =>
    faultTest(name, () => bench, body);

  const basic = { status: 401, headers: { 'www-authenticate': 'Basic realm="test"' } };
  const isAnonymous = ({ headers }: SeenRequest) => headers.authorization === undefined;
  const layer = ({ path }: SeenRequest) => path.endsWith(bench.big.digest);

  /** Another host, which gives the large layer to whoever asks. */
  async function withOtherHost(
    body: (url: string, seen: readonly IncomingMessage[]) => Promise<void>,
  ): Promise<void> {
    const seen: IncomingMessage[] = [];
    await withServer(
      (request, response) => {
        seen.push(request);
        request.resume();
        response.writeHead(200, { 'content-length': bench.big.size }).end(bench.image.blobs[1]);
      },
      (url) => body(url, seen),
    );
  }

  function assertKept(seen: readonly IncomingMessage[]): void {
    assert.ok(seen.length > 0, 'the other host was asked');
    for (const { headers, url } of seen) {
      assert.equal(headers.authorization, undefined);
      assert.doesNotMatch(`${url} ${JSON.stringify(headers)}`, secrets);
    }
  }

  check('a redirect to another host is followed without credentials', (given) =>
    withOtherHost(async (url, seen) => {
      given.proxy.fault = (request) => {
        if (isAnonymous(request)) {
          return basic;
        }
        return layer(request)
          ? { status: 307, headers: { location: `${url}/there?signature=1` } }
          : undefined;
      };
      await given.pull();
      assert.ok(given.proxy.seen.some((request) => layer(request) && !isAnonymous(request)));
      assertKept(seen);
    }),
  );

  check('a user in a redirect is dropped; circles and other protocols are errors', (given) =>
    withOtherHost(async (url, seen) => {
      const redirect = (location: string) =>
        given.inject(layer, { status: 302, headers: { location } });
      redirect(`${url.replace('//', '//bob:pw@')}/there`);
      await given.pull();
      assertKept(seen);
      redirect(`/v2/os/good/blobs/${bench.big.digest}`);
      await given.refuses(given.pull(), /more than 5 redirects/, 'LIMIT');
      redirect('ftp://127.0.0.1/x');
      await given.refuses(given.pull(), /not secure/, 'IO');
    }),
  );

  check('a redirect of the token server must not lead an identity token to another host', (given) =>
    withOtherHost((url, seen) =>
      withServer(
        (request, response) => {
          request.resume();
          response.writeHead(307, { location: `${url}/token` }).end();
        },
        async (realm) => {
          const headers = { 'www-authenticate': `Bearer realm="${realm}/token",service="s"` };
          given.proxy.fault = () => ({ status: 401, headers });
          const authfile = join(scratchDirectory(), 'auth.json');
          writeFileSync(
            authfile,
            JSON.stringify({ auths: { [given.proxy.host]: { identitytoken: 'very-secret' } } }),
          );
          await given.refuses(
            given.pull({ credentials: undefined, authfile }),
            /redirects a request that contains a secret to/,
            'IO',
          );
          assert.deepEqual(seen, []);
        },
      ),
    ),
  );

  check('an upload to another host is sent without credentials', (given) =>
    withOtherHost(async (url, seen) => {
      given.proxy.fault = (request) => {
        if (isAnonymous(request)) {
          return basic;
        }
        return request.method === 'POST'
          ? { status: 202, headers: { location: `${url}/upload` } }
          : undefined;
      };
      await given.refuses(given.push({ retries: 0 }), /HTTP status 200/, 'IO');
      assertKept(seen);
    }),
  );

  check('a 401 of another host is not answered with credentials', (given) =>
    withServer(
      (request, response) => {
        assert.equal(request.headers.authorization, undefined);
        response.writeHead(401, basic.headers).end();
      },
      async (url) => {
        given.inject(layer, { status: 307, headers: { location: `${url}/there` } });
        await given.refuses(given.pull(), /401/, 'IO');
      },
    ),
  );

  check(
    'a token that expires is renewed, and secrets that the registry repeats are redacted',
    async (given) => {
      let issued = 0;
      let revoked = 0;
      const logged: string[] = [];
      const log: Logger = {
        warn: (text) => logged.push(text),
        info: (text) => logged.push(text),
        progress() {},
      };
      await withServer(
        (request, response) => {
          assert.match(String(request.headers.authorization), secrets);
          response.end(JSON.stringify({ access_token: `token-${++issued}`, expires_in: 3600 }));
        },
        async (url) => {
          const headers = { 'www-authenticate': `Bearer realm="${url}/token",service="s"` };
          for (const action of ['pull', 'push'] as const) {
            let requests = 0;
            const before = issued;
            given.proxy.fault = (request) => {
              if (++requests === 4) {
                revoked = issued;
              }
              const isValid =
                issued > revoked && request.headers.authorization === `Bearer token-${issued}`;
              return isValid ? undefined : { status: 401, headers };
            };
            await given[action]();
            assert.equal(issued - before, 2);
          }
          const body = () => `I saw token-${issued} and very-secret`;
          given.proxy.fault = (request) =>
            isAnonymous(request) ? { status: 401, headers } : { status: 500, body: body() };
          await given.refuses(given.pull({ log }), /500: I saw \*\*\* and \*\*\*/, 'IO');
          assert.ok(logged.length > 0, 'retries are logged');
          assert.doesNotMatch(logged.join(), secrets);
        },
      );
    },
  );
});
