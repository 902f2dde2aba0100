/**
 * Starts a registry behind a fault proxy, with an image in it, and asserts what must hold of every
 * pull and push, whatever fault is injected.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OstrataError } from '../../src/errors.js';
import { validateImage } from '../../src/oci/validate.js';
import { createImage, openImage } from '../../src/transports/image-reference.js';
import type { Traffic, TransportOptions } from '../../src/transports/transport.js';
import { copyImage } from './copy-blobs.js';
import { type Registry, startRegistry } from './docker-registry.js';
import { type Fault, type FaultProxy, type SeenRequest, startFaultProxy } from './fault-proxy.js';
import { newTraffic, noise, type TestImage, writeTestImage } from './random-images.js';
import { scratchDirectory } from './scratch.js';

export const MIB = 1 << 20;
/**
 * Milliseconds until a connection counts as stalled, in tests that stall one. On a loaded machine
 * other connections may then count as stalled too, so such tests must not depend on their number.
 */
export const STALL = 1000;
/** Many tests can run at the same time because they mostly wait. */
export const CONCURRENCY = 12;
export const credentials = { username: 'alice', password: 'very-secret' };
export const secrets = new RegExp(
  `very-secret|${Buffer.from('alice:very-secret').toString('base64')}`,
);

/** The registry and the image that all tests of a file share. */
export class FaultBench {
  readonly scratch: string;
  readonly registry: Registry;
  readonly image: TestImage;

  static async start(): Promise<FaultBench> {
    const scratch = scratchDirectory();
    const registry = await startRegistry(join(scratch, 'registry'));
    const image = await writeTestImage(join(scratch, 'images'), 'x', [
      noise('small', 1000),
      noise('big', 3 * MIB),
    ]);
    const target = `docker://${registry.host}/os/good:x`;
    await copyImage(await openImage(image.imgref), await createImage(target, { tlsVerify: false }));
    return new FaultBench(scratch, registry, image);
  }

  private constructor(scratch: string, registry: Registry, image: TestImage) {
    this.scratch = scratch;
    this.registry = registry;
    this.image = image;
  }

  async stop(): Promise<void> {
    await this.registry.stop();
  }

  get big() {
    return { mediaType: '', ...(this.image.layers[1] as TestImage['layers'][number]) };
  }
}

let count = 0;

/** What one test uses: a proxy of its own and the shared registry behind it. */
export class FaultTest {
  readonly bench: FaultBench;
  readonly proxy: FaultProxy;
  readonly options: TransportOptions = { tlsVerify: false, retries: 2, credentials };
  readonly #name = `test-${++count}`;

  constructor(bench: FaultBench, proxy: FaultProxy) {
    this.bench = bench;
    this.proxy = proxy;
  }

  /** Injects a fault into the first `times` requests for which `fits` returns true. */
  inject(fits: (request: SeenRequest) => boolean, fault: Fault, times = Infinity): void {
    let left = times;
    this.proxy.fault = (request) => (fits(request) && left-- > 0 ? fault : undefined);
  }

  /** Pulls the image through the proxy; asserts that what arrives is right. */
  async pull(more: TransportOptions = {}): Promise<Traffic> {
    const traffic = newTraffic();
    const pulled = `oci:${join(this.bench.scratch, this.#name)}:x`;
    const reader = await openImage(`docker://${this.proxy.host}/os/good:x`, {
      ...this.options,
      traffic,
      ...more,
    });
    await copyImage(reader, await createImage(pulled));
    await validateImage(await openImage(pulled));
    rmSync(join(this.bench.scratch, this.#name), { recursive: true });
    return traffic;
  }

  /** Pushes the image under a name that no other test uses; asserts that what arrives is right. */
  async push(more: TransportOptions = {}, part = ''): Promise<void> {
    const name = `os/${this.#name}${part}:x`;
    const target = await createImage(`docker://${this.proxy.host}/${name}`, {
      ...this.options,
      ...more,
    });
    await copyImage(await openImage(this.bench.image.imgref), target);
    const pushed = await openImage(`docker://${this.bench.registry.host}/${name}`, this.options);
    assert.equal(pushed.manifestDigest, this.bench.image.manifestDigest);
    await validateImage(pushed);
  }

  /** Asserts that `action` fails with one line that contains no secret. */
  async refuses(action: Promise<unknown>, expected: RegExp, code: string): Promise<void> {
    await assert.rejects(action, (error: OstrataError) => {
      assert.equal(error.name, 'OstrataError', String(error.stack));
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /\n/);
      assert.doesNotMatch(error.message, secrets);
      assert.equal(error.code, code);
      return true;
    });
  }

  /**
   * Asserts that neither the registry nor the disk has an image that this test pushed or pulled.
   */
  async assertNothingThere(): Promise<void> {
    const pushed = openImage(
      `docker://${this.bench.registry.host}/os/${this.#name}:x`,
      this.options,
    );
    await assert.rejects(pushed, { code: 'NOT_FOUND' });
    await assert.rejects(openImage(`oci:${join(this.bench.scratch, this.#name)}:x`), {
      code: 'NOT_FOUND',
    });
  }
}

/** Declares a test that gets its own proxy. */
export function faultTest(
  name: string,
  bench: () => FaultBench,
  body: (given: FaultTest) => Promise<void>,
): void {
  test(name, async () => {
    const proxy = await startFaultProxy(bench().registry.host);
    try {
      await body(new FaultTest(bench(), proxy));
    } finally {
      await proxy.stop();
    }
  });
}

/** Runs `body` while an HTTP server with `listener` listens at `url`. */
export async function withServer(
  listener: RequestListener,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Faults that can happen at any request and be over at the next one. */
export const briefFaults: readonly (readonly [string, Fault])[] = [
  ['a reset', { reset: 'before' }],
  ['a lost answer', { reset: 'after' }],
  ['status 503', { status: 503, body: '<html>busy</html>' }],
];
