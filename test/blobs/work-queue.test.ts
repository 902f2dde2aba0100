import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedBlockCompressor } from '../../src/blobs/block-compressor.js';
import { type Compression, type Compressor, createCompressor } from '../../src/blobs/compress.js';
import {
  closeWorkQueue,
  createWorkQueue,
  SharedWorkQueue,
  type WorkQueueMemory,
} from '../../src/blobs/work-queue.js';
import { type BlobResult, BlobWriter } from '../../src/blobs/writer.js';
import { scratchDirectory } from '../support/scratch.js';

const gzip: Compression = { name: 'gzip', level: 6 };
const compressor = await createCompressor(gzip);
const { blockSize } = compressor;
const scratch = scratchDirectory();
const NO_WINDOW = new Uint8Array();

/** Begins with noise and ends with text: blocks that take very different times to compress. */
const content = Buffer.alloc(9 * blockSize + 777, 'all work and no play ');
randomFillSync(content.subarray(0, 3 * blockSize));

function writeAlone(name: string, compressor: Compressor): BlobResult {
  const writer = new BlobWriter(join(scratch, name), compressor);
  writer.write(content);
  return writer.finish();
}

function writeShared(name: string, compressor: Compressor, queue: SharedWorkQueue): BlobResult {
  const blocks = new SharedBlockCompressor(compressor, queue);
  const writer = new BlobWriter(join(scratch, name), compressor, blocks);
  writer.write(content);
  return writer.finish();
}

/** Starts a thread that compresses until the queue is closed: it posts `ready`, then `closed`. */
function startIdleWorker(memory: WorkQueueMemory, compression: Compression = gzip) {
  const urlOf = (name: string) =>
    JSON.stringify(new URL(`../../src/blobs/${name}.js`, import.meta.url).href);
  const code = `
    const { workerData: memory, parentPort } = require('node:worker_threads');
    async function run() {
      const { SharedWorkQueue } = await import(${urlOf('work-queue')});
      const { createCompressor } = await import(${urlOf('compress')});
      const compressor = await createCompressor(${JSON.stringify(compression)});
      parentPort.postMessage('ready');
      new SharedWorkQueue(memory, compressor).workUntilClosed();
      parentPort.postMessage('closed');
    }
    run();`;
  const worker = new Worker(code, { eval: true, workerData: memory });
  const nextMessage = () => new Promise((resolve) => worker.once('message', resolve));
  return { worker, nextMessage };
}

/** Much longer than it takes until both workers wait for work. */
const IDLE_TIMEOUT_MS = 120_000;

const compressions: readonly Compression[] = [
  { name: 'none', level: 0 },
  gzip,
  { name: 'zstd', level: 3 },
];
for (const compression of compressions) {
  const { name } = compression;
  const options = { timeout: IDLE_TIMEOUT_MS };
  test(`a blob has the same bytes with and without idle workers (${name})`, options, async (t) => {
    const compressor = await createCompressor(compression);
    const expected = writeAlone(`${name}-alone`, compressor);
    const memory = createWorkQueue(compressor, 2);
    const queue = new SharedWorkQueue(memory, compressor);
    assert.deepEqual(writeShared(`${name}-no-idle-worker`, compressor, queue), expected);

    const workers = [startIdleWorker(memory, compression), startIdleWorker(memory, compression)];
    await Promise.all(workers.map(({ nextMessage }) => nextMessage()));
    while (!queue.hasIdleWorkers) {
      t.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual(writeShared(`${name}-two-idle-workers`, compressor, queue), expected);
    assert.deepEqual(writeShared(`${name}-queue-used-again`, compressor, queue), expected);

    const ends = workers.map(({ nextMessage }) => nextMessage());
    closeWorkQueue(memory);
    assert.deepEqual(await Promise.all(ends), ['closed', 'closed']);
  });
}

test('a writer compresses the blocks that no other worker takes', () => {
  const queue = new SharedWorkQueue(createWorkQueue(compressor, 1), compressor);
  const first = content.subarray(0, 100);
  const second = content.subarray(-100);
  assert.deepEqual([queue.submit(first, NO_WINDOW), queue.submit(second, first)], [0, 1]);
  assert.equal(queue.submit(first, second), undefined, 'the queue is full');

  const compressedFirst = Buffer.from(queue.awaitFirst([0, 1]));
  assert.deepEqual(compressedFirst, compressor.compress(first, NO_WINDOW));
  const compressedSecond = Buffer.from(queue.awaitFirst([1]));
  assert.deepEqual(compressedSecond, compressor.compress(second, first));
  assert.equal(queue.submit(first, second), 0, 'the entries are free again');
});

test('only the results that were collected last stay in memory', () => {
  const queue = new SharedWorkQueue(createWorkQueue(compressor, 1), compressor);
  const text = content.subarray(-blockSize);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 16; i++) {
    queue.submit(text, NO_WINDOW);
    queue.awaitFirst([0]);
    const { arrayBuffers } = process.memoryUsage();
    assert(arrayBuffers - before < 3 * blockSize, `block ${i}: ${arrayBuffers - before} bytes`);
  }
});

test('a queue can be closed after an idle worker was terminated', async () => {
  const memory = createWorkQueue(compressor, 1);
  const { worker, nextMessage } = startIdleWorker(memory);
  await nextMessage();
  await worker.terminate();
  closeWorkQueue(memory);
});

test('a worker does not wait for a queue that is closed', () => {
  const memory = createWorkQueue(compressor, 1);
  closeWorkQueue(memory);
  new SharedWorkQueue(memory, compressor).workUntilClosed();
});
