/** How often an import waits for the disk: seldom if it is fast, often if it is slow. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { importCommit } from '../../../src/client/import/commit.js';
import { type FetchEvent, LayerFetcher } from '../../../src/client/import/fetch.js';
import { FsyncThrottle } from '../../../src/client/import/fsync-throttle.js';
import { planImport } from '../../../src/client/import/plan.js';
import { listBlobs } from '../../../src/client/stored.js';
import { silentLogger } from '../../../src/log.js';
import type { ImageReader } from '../../../src/oci/image.js';
import { RepoWriter } from '../../../src/ostree/write/writer.js';
import { buildImage } from '../../support/build-image.js';
import { dir, RepoBuilder } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';

test('small layers share one wait for the disk, a large one does not wait for others', () => {
  const throttle = new FsyncThrottle(() => 0);
  assert.deepEqual(
    [throttle.isDue(1 << 20), throttle.isDue(1 << 20), throttle.isDue(32 << 20)],
    [false, false, true],
  );
  throttle.sync(() => {});
  assert.equal(throttle.isDue(1 << 20), false);
});

test('an import waits for the disk after a pause, which is longer on a slow disk', () => {
  let time = 0;
  const throttle = new FsyncThrottle(() => time);
  const dueAfter = (milliseconds: number) => {
    const start = time;
    time += milliseconds;
    const isDue = throttle.isDue(1);
    time = start;
    return isDue;
  };
  assert.deepEqual([dueAfter(249), dueAfter(250)], [false, true]);
  throttle.sync(() => {
    time += 3000;
  });
  assert.deepEqual([dueAfter(11_999), dueAfter(12_000)], [false, true]);
});

/** An image with a commit layer and three chunk layers of different sizes. */
async function imageOfFourLayers(): Promise<ImageReader> {
  const text = (length: number) => randomBytes(length).toString('hex');
  const spec = dir({
    bin: dir({ sh: text(2000) }),
    lib: dir({ a: text(9000) }),
    usr: dir({ b: text(100) }),
  });
  return (await buildImage(spec)).image;
}

/**
 * Imports the image with one thread while a clock advances by `stepMs` for each layer. Returns the
 * sizes of the layers in the order in which they were fetched, and how many layers the repository
 * had when each was imported.
 */
async function importWithClock(image: ImageReader, stepMs: number) {
  const { path } = new RepoBuilder('archive', '', scratchDirectory());
  const writer = await RepoWriter.open(path, { fsync: true });
  const plan = await planImport(writer.repo, image);

  const sizes: number[] = [];
  const published: number[] = [];
  let time = 0;
  const onEvent = (event: FetchEvent) => {
    if (event.event === 'fetching') {
      time += stepMs;
      sizes.push(event.size);
    } else {
      published.push(listBlobs(writer.repo).length);
    }
  };
  const { signal } = new AbortController();
  const fetcher = new LayerFetcher(writer, image, { jobs: 1, log: silentLogger, signal, onEvent });
  try {
    await importCommit({ writer, fetcher, verifyCommit: undefined }, plan, () => time);
  } finally {
    await fetcher.close();
    writer.close();
  }
  return { sizes, published };
}

test('a fast import publishes its layers together, a slow one each as it comes', async () => {
  const image = await imageOfFourLayers();
  // The ref of the commit layer comes last in both.
  assert.deepEqual((await importWithClock(image, 0)).published, [0, 0, 0, 0]);
  assert.deepEqual((await importWithClock(image, 10_000)).published, [0, 1, 2, 3]);
});

test('the first thread fetches the commit layer, then the smallest layers first', async () => {
  const { sizes } = await importWithClock(await imageOfFourLayers(), 0);
  const [, ...chunks] = sizes;
  assert.deepEqual(
    chunks,
    chunks.toSorted((a, b) => a - b),
  );
});
