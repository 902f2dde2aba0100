// Pushes through a proxy that injects faults: they arrive whole or fail with one clear error.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, suite } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import {
  briefFaults,
  CONCURRENCY,
  FaultBench,
  type FaultTest,
  faultTest,
  MIB,
  STALL,
  withServer,
} from '../../support/fault-bench.js';
import type { SeenRequest } from '../../support/fault-proxy.js';
import { needs } from '../../support/tools.js';

suite('push through a bad network', {
  ...needs('docker-registry'),
  concurrency: CONCURRENCY,
}, () => {
  let bench: FaultBench;
  before(async () => {
    bench = await FaultBench.start();
  });
  after(() => bench.stop());
  const check = (name: string, body: (given: FaultTest) => Promise<void>) =>
    faultTest(name, () => bench, body);

  const question = ({ method }: SeenRequest) => method === 'HEAD';
  const start = ({ method }: SeenRequest) => method === 'POST';
  const upload = ({ method, path, headers }: SeenRequest) =>
    ['PUT', 'PATCH'].includes(method) &&
    path.includes('/uploads/') &&
    Number(headers['content-length']) > MIB;
  const manifest = ({ method, path }: SeenRequest) =>
    method === 'PUT' && path.includes('/manifests/');

  for (const [what, fault] of briefFaults) {
    for (const [where, fits] of Object.entries({ question, start, upload, manifest })) {
      check(`a push survives ${what} at the ${where}`, async (given) => {
        given.inject(fits, fault, 1);
        await given.push();
      });
      // Of a lost answer the blob is told by the next question, and the manifest nevertheless there.
      const isThere = what === 'a lost answer' && fits !== question && fits !== start;
      check(
        `a push ${isThere ? 'survives' : 'fails after'} repeated faults: ${what} at the ${where}`,
        async (given) => {
          given.inject(fits, fault);
          if (isThere && fits === upload) {
            return given.push({ retries: 1 });
          }
          await given.refuses(given.push({ retries: 1 }), /127\.0\.0\.1/, 'IO');
          if (!isThere) {
            await given.assertNothingThere();
          }
        },
      );
    }
  }

  for (const [where, fits] of Object.entries({ question, start, upload, manifest })) {
    check(`a push survives a missing response at the ${where}`, async (given) => {
      given.inject(fits, { stall: true }, 1);
      await given.push({ stallTimeoutMs: STALL, retries: 20 });
      given.inject(fits, { stall: true });
      await given.refuses(
        given.push({ stallTimeoutMs: STALL, retries: 0 }, '/again'),
        /nothing happened/,
        'IO',
      );
    });
  }

  check('a push survives the statuses 500 and 429', async (given) => {
    for (const status of [500, 429]) {
      given.inject(upload, { status, headers: { 'retry-after': '0' } }, 2);
      await given.push({}, `/${status}`);
    }
  });

  check('a push survives an upload that breaks off once', async (given) => {
    given.inject(upload, { resetInRequest: 2 * MIB }, 1);
    await given.push();
  });

  check('a push fails if an upload always breaks off', async (given) => {
    given.inject(upload, { resetInRequest: 2 * MIB });
    await given.refuses(given.push(), /PUT/, 'IO');
    await given.assertNothingThere();
  });

  check('bytes that were modified on the way are refused by the registry', async (given) => {
    given.inject(upload, { flip: 'request', at: 1000 });
    await given.refuses(given.push(), /DIGEST_INVALID/, 'IO');
    await given.assertNothingThere();
  });

  check('a lost upload session is replaced by a new one', async (given) => {
    given.inject(upload, { status: 404, body: '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}' }, 1);
    await given.push();
  });

  check('a blob that is too large for one request is sent in chunks', async (given) => {
    given.inject(
      (request) => upload(request) && Number(request.headers['content-length']) > 2 * MIB,
      { status: 413 },
    );
    await given.push();
    const chunks = given.proxy.seen.filter(({ method }) => method === 'PATCH');
    assert.deepEqual(
      chunks.map(({ headers }) => headers['content-range']?.split('-')[0]),
      ['0', String(Math.ceil(bench.big.size / 2))],
    );
  });

  check('a push fails if the registry claims to have stored another manifest', async (given) => {
    given.inject(manifest, { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } });
    await given.refuses(given.push(), /has stored the manifest/, 'CORRUPT');
  });

  check('a push fails if the registry has a blob with another size', async (given) => {
    const isBig = (request: SeenRequest) =>
      question(request) && request.path.endsWith(bench.big.digest);
    given.inject(isBig, { status: 200, headers: { 'content-length': '5' } });
    await given.refuses(given.push(), /5 bytes of it instead of/, 'CORRUPT');
    await given.assertNothingThere();
  });

  check('an upload is resumed if the registry supports it', async (given) => {
    // docker-registry cannot: this one keeps what it got of a broken request.
    const stored: Buffer[] = [];
    let received = 0;
    const size = () => stored.reduce((sum, { length }) => sum + length, 0);
    await withServer(
      async (request, response) => {
        const { method, url = '' } = request;
        const location = { location: `/v2/os/x/blobs/uploads/1?state=${size()}` };
        if (method === 'HEAD') {
          return response.writeHead(404).end();
        }
        if (method === 'POST') {
          return response.writeHead(202, location).end();
        }
        if (method === 'GET') {
          return response.writeHead(204, { ...location, range: `0-${size() - 1}` }).end();
        }
        const isFirst = received === 0;
        if (!isFirst && !url.endsWith(`state=${size()}`) && method === 'PATCH') {
          return response.writeHead(416).end();
        }
        for await (const chunk of request as AsyncIterable<Buffer>) {
          stored.push(chunk);
          received += chunk.length;
          if (isFirst && size() > 2 * MIB) {
            return request.socket.destroy();
          }
        }
        return response.writeHead(method === 'PUT' ? 201 : 202, location).end();
      },
      async (url) => {
        const writer = await createImage(
          `docker:${url.slice('http:'.length)}/os/x:x`,
          given.options,
        );
        const image = await openImage(bench.image.imgref);
        // Throws when the upload has failed.
        for (; size() < bench.big.size; await sleep(20)) {
          await writer.mountBlob(bench.big, image);
        }
        await writer.discard();
      },
    );
    const digest = `sha256:${createHash('sha256').update(Buffer.concat(stored)).digest('hex')}`;
    assert.equal(digest, bench.big.digest);
    assert.equal(received, bench.big.size, 'nothing is sent twice');
  });
});
