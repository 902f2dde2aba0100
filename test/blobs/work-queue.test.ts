import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createCompressor } from '../../src/blobs/compress.js';
import { closeWorkQueue, createWorkQueue, SharedWorkQueue } from '../../src/blobs/work-queue.js';
import { BlobWriter } from '../../src/blobs/writer.js';
import { scratchDirectory } from '../support/scratch.js';

const compression = { name: 'gzip', level: 6 } as const;
const compressor = await createCompressor(compression);
const scratch = scratchDirectory();

/** Noise below, text above: blocks of very different cost. */
const content = Buffer.alloc(9 * compressor.blockSize + 777, 'all work and no play ');
randomFillSync(content.subarray(0, 3 * compressor.blockSize));

function write(name: string, board?: SharedWorkQueue) {
  const writer = new BlobWriter(join(scratch, name), compressor, board);
  writer.write(content);
  return writer.finish();
}

/** A thread that helps until the board is closed, or is ended. */
function startHelper(memory: ReturnType<typeof createWorkQueue>) {
  const module = (name: string) =>
    JSON.stringify(new URL(`../../src/blobs/${name}.js`, import.meta.url).href);
  const code = `
    const { workerData: memory, parentPort } = require('node:worker_threads');
    Promise.all([import(${module('work-queue')}), import(${module('compress')})]).then(async ([{ SharedWorkQueue }, { createCompressor }]) => {
      const compressor = await createCompressor(${JSON.stringify(compression)});
      parentPort.postMessage('ready');
      new SharedWorkQueue(memory, compressor).workUntilClosed();
      parentPort.postMessage('helped');
    });`;
  const worker = new Worker(code, { eval: true, workerData: memory });
  const next = () => new Promise((resolve) => worker.once('message', resolve));
  return { worker, next };
}

test('a blob is the same, written alone or with help', async () => {
  const alone = write('alone');
  const memory = createWorkQueue(compressor, 2);
  const board = new SharedWorkQueue(memory, compressor);
  const helpers = [startHelper(memory), startHelper(memory)];
  await Promise.all(helpers.map(({ next }) => next()));
  while (!board.hasHelpers) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.deepEqual(write('helped', board), alone);
  assert.deepEqual(write('again', board), alone);
  const ended = helpers.map(({ next }) => next());
  closeWorkQueue(memory);
  assert.deepEqual(await Promise.all(ended), ['helped', 'helped']);
});

test('a writer finishes what no helper takes', () => {
  const memory = createWorkQueue(compressor, 1);
  const board = new SharedWorkQueue(memory, compressor);
  const [a, b] = [content.subarray(0, 100), content.subarray(-100)];
  const slots = [board.submit(a, new Uint8Array()), board.submit(b, a)];
  assert.deepEqual(slots, [0, 1]);
  assert.equal(board.submit(a, b), undefined, 'the board is full');
  assert.deepEqual(board.awaitFirst([0, 1]), compressor.compress(a, new Uint8Array()));
  assert.deepEqual(board.awaitFirst([1]), compressor.compress(b, a));
  assert.equal(board.submit(a, b), 0, 'its places are free again');
});

test('a helper that waits can be ended, and whoever comes after the end does not wait', async () => {
  const memory = createWorkQueue(compressor, 1);
  const { worker, next } = startHelper(memory);
  await next();
  await worker.terminate();
  closeWorkQueue(memory);
  new SharedWorkQueue(memory, compressor).workUntilClosed();
});
