// Pulls through a proxy that injects faults: they arrive whole or fail with one clear error.
import assert from 'node:assert/strict';
import { after, before, suite } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_JSON_SIZE } from '../../../src/oci/types.js';
import { openImage } from '../../../src/transports/image-reference.js';
import {
  briefFaults,
  CONCURRENCY,
  FaultBench,
  type FaultTest,
  faultTest,
  MIB,
  STALL,
} from '../../support/fault-bench.js';
import type { Fault, SeenRequest } from '../../support/fault-proxy.js';
import { needs } from '../../support/tools.js';

suite('pull through a bad network', {
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

  const manifest = ({ path }: SeenRequest) => path.includes('/manifests/');
  const layer = ({ path }: SeenRequest) => path.endsWith(bench.big.digest);
  const config = ({ path }: SeenRequest) =>
    path.includes('/blobs/') && !bench.image.layers.some(({ digest }) => path.endsWith(digest));
  const places = { manifest, config, layer };

  const faults: readonly (readonly [string, Fault])[] = [
    ...briefFaults,
    ['a truncated body', { cut: 100, end: 'reset' }],
  ];
  for (const [what, fault] of faults) {
    for (const [where, fits] of Object.entries(places)) {
      check(`a pull survives ${what} at the ${where}`, async (given) => {
        given.inject(fits, fault, 1);
        await given.pull();
      });
      check(`a pull fails after repeated faults: ${what} at the ${where}`, async (given) => {
        given.inject(fits, fault);
        await given.refuses(given.pull({ retries: 1 }), /127\.0\.0\.1/, 'IO');
        await given.assertNothingThere();
      });
    }
  }

  for (const [where, fits] of Object.entries(places)) {
    check(`a pull survives a missing or incomplete response for the ${where}`, async (given) => {
      for (const fault of [{ stall: true }, { cut: 100, end: 'stall' }] as const) {
        given.inject(fits, fault, 1);
        await given.pull({ stallTimeoutMs: STALL, retries: 20 });
        given.inject(fits, fault);
        await given.refuses(
          given.pull({ stallTimeoutMs: STALL, retries: 0 }),
          /nothing happened for 1 s/,
          'IO',
        );
      }
    });
  }

  check('a pull survives the statuses 500 and 429', async (given) => {
    for (const status of [500, 429]) {
      given.inject(layer, { status, headers: { 'retry-after': '0' } }, 2);
      await given.pull();
    }
  });

  check('a layer that broke off is resumed by a range request', async (given) => {
    given.inject(layer, { cut: 2 * MIB, end: 'reset' }, 1);
    const traffic = await given.pull();
    const ranges = given.proxy.seen.filter(layer).map(({ headers }) => headers.range);
    assert.deepEqual(ranges, [undefined, `bytes=${2 * MIB}-`]);
    assert.equal(traffic.blobBytesReceived, bench.image.size, 'nothing is fetched twice');
  });

  check('a layer that often breaks off arrives as long as it makes progress', async (given) => {
    given.inject(layer, { cut: 1.2 * MIB, end: 'reset' });
    await given.pull({ retries: 1 });
  });

  check('a layer is resumed from a registry that ignores range requests', async (given) => {
    let cuts = 0;
    given.proxy.fault = (request) => {
      if (!layer(request)) {
        return undefined;
      }
      delete request.headers.range;
      return cuts++ === 0 ? { cut: 2 * MIB, end: 'reset' } : undefined;
    };
    assert.ok((await given.pull()).blobBytesReceived > bench.image.size + MIB);
  });

  for (const [where, fits] of Object.entries(places)) {
    check(`modified bytes of the ${where} are refused`, async (given) => {
      given.inject(fits, { flip: 'answer', at: 200 });
      await given.refuses(given.pull(), /digest/, 'CORRUPT');
      await given.assertNothingThere();
    });
  }

  check('a wrong Content-Length is refused before the body is read', async (given) => {
    given.inject(layer, { headers: { 'content-length': '17' } });
    await given.refuses(given.pull(), /announces 17 bytes/, 'CORRUPT');
    given.inject(layer, { headers: { 'content-length': String(1e12) } });
    await given.refuses(given.pull(), /announces 1000000000000 bytes/, 'CORRUPT');
    given.inject(manifest, { headers: { 'content-length': String(1e12) } });
    await given.refuses(
      given.pull({ retries: 0, stallTimeoutMs: STALL }),
      /nothing happened|aborted/,
      'IO',
    );
  });

  check('an endless body is refused', async (given) => {
    given.inject(layer, { cut: 3 * MIB, end: 'endless' });
    await given.refuses(given.pull(), /more than its \d+ bytes/, 'CORRUPT');
    given.inject(manifest, { cut: 10, end: 'endless' });
    await given.refuses(given.pull(), new RegExp(`more than ${MAX_JSON_SIZE} bytes`), 'LIMIT');
    await given.assertNothingThere();
  });

  check('the response for another range is refused', async (given) => {
    let requests = 0;
    const headers = { 'content-range': `bytes 0-9/${bench.big.size}` };
    given.proxy.fault = (request) => {
      if (!layer(request)) {
        return undefined;
      }
      return requests++ === 0
        ? { cut: MIB, end: 'reset' }
        : { status: 206, headers, body: '0123456789' };
    };
    await given.refuses(given.pull(), /range/, 'CORRUPT');
  });

  check('Retry-After is obeyed up to two minutes; a longer wait is an error', async (given) => {
    given.inject(layer, { status: 429, headers: { 'retry-after': '2' } }, 1);
    const start = performance.now();
    await given.pull();
    assert.ok(performance.now() - start >= 1900);
    given.inject(layer, {
      status: 429,
      headers: { 'retry-after': '3600' },
      body: 'come back later',
    });
    await given.refuses(given.pull(), /429: come back later/, 'IO');
  });

  check(
    'the message of the registry is shown on one line without control characters',
    async (given) => {
      const body = JSON.stringify({
        errors: [{ code: 'DENIED', message: 'not\nfor\u001b[31m you' }],
      });
      given.inject(manifest, { status: 403, body });
      await given.refuses(given.pull(), /403: DENIED: not for \[31m you/, 'IO');
    },
  );

  check('a slow consumer does not count as a stalled connection', async (given) => {
    const reader = await openImage(`docker://${given.proxy.host}/os/good:x`, {
      ...given.options,
      stallTimeoutMs: STALL,
    });
    let size = 0;
    for await (const chunk of reader.blob(bench.big)) {
      if (size === 0) {
        await sleep(1.5 * STALL);
      }
      size += chunk.length;
    }
    assert.equal(size, bench.big.size);
    assert.equal(given.proxy.seen.filter(layer).length, 1);
  });
});
