// Pushes through a proxy that injects faults: they arrive whole or fail with one clear error.
import assert from 'node:assert/strict';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { after, before, suite } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Digest } from '../../../src/oci/json.js';
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
      // If only the response was lost, the registry has stored the blob or the manifest.
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
    const registry = new ResumingRegistry(2 * MIB);
    await withServer(registry.handle, async (url) => {
      const target = `docker:${url.slice('http:'.length)}/os/x:x`;
      const writer = await createImage(target, given.options);
      const image = await openImage(bench.image.imgref);
      // mountBlob returns at once, and throws if the upload has failed.
      while (registry.size < bench.big.size) {
        await writer.mountBlob(bench.big, image);
        await sleep(20);
      }
      await writer.discard();
    });
    assert.equal(sha256Digest(registry.content), bench.big.digest);
    assert.equal(registry.received, bench.big.size, 'nothing is sent twice');
  });
});

/**
 * A registry for one upload that keeps what it received of a broken request, which docker-registry
 * does not. It breaks the first request after `limit` bytes.
 */
class ResumingRegistry {
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  /** Bytes of all requests together. */
  received = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get content(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get size(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0);
  }

  readonly handle: RequestListener = async (request, response) => {
    const state = `state=${this.size}`;
    const headers = { location: `/v2/os/x/blobs/uploads/1?${state}` };
    switch (request.method) {
      case 'HEAD':
        return response.writeHead(404).end();
      case 'POST':
        return response.writeHead(202, headers).end();
      case 'GET':
        return response.writeHead(204, { ...headers, range: `0-${this.size - 1}` }).end();
      case 'PATCH': {
        const isOutdated = this.received > 0 && !request.url?.endsWith(state);
        return isOutdated ? response.writeHead(416).end() : this.#receive(request, response);
      }
      default:
        return this.#receive(request, response);
    }
  };

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isFirst = this.received === 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      this.#chunks.push(chunk);
      this.received += chunk.length;
      if (isFirst && this.size > this.#limit) {
        request.socket.destroy();
        return;
      }
    }
    const location = `/v2/os/x/blobs/uploads/1?state=${this.size}`;
    response.writeHead(request.method === 'PUT' ? 201 : 202, { location }).end();
  }
}
