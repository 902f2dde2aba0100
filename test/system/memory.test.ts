import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from '../../src/system/memory.js';
import { run } from '../support/run.js';

test('a buffer that is released gives its memory back at once', () => {
  const before = process.memoryUsage().arrayBuffers;
  const bytes = new Uint8Array(64 << 20);
  release(bytes);
  assert.equal(bytes.length, 0);
  assert(process.memoryUsage().arrayBuffers - before < 1 << 20);
});

test('releasing a small buffer leaves the pool that it shares with others as it is', () => {
  const bytes = Buffer.from('abc');
  release(bytes);
  assert.equal(bytes.toString(), 'abc');
});

test('the memory for young objects stays small, also after a thread has started', () => {
  const memory = JSON.stringify(import.meta.resolve('../../src/system/memory.js'));
  const task = JSON.stringify(import.meta.resolve('../../src/system/worker-task.js'));
  const worker = `
    import { parentPort } from 'node:worker_threads';
    import { receiveRequests } from ${task};
    receiveRequests(() => parentPort.postMessage('done'));
  `;
  const program = `
    import { once } from 'node:events';
    import { getHeapSpaceStatistics } from 'node:v8';
    import { Worker } from 'node:worker_threads';
    import { keepYoungGeneration } from ${memory};

    keepYoungGeneration();
    const code = ${JSON.stringify(worker)};
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)));
    worker.postMessage('go');
    await once(worker, 'message');

    const survivors = Array.from({ length: 1e6 }, (_, i) => ({ i }));
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    console.log(survivors.length && young.space_size);
    await worker.terminate();
  `;
  const size = Number(run(process.execPath, ['--input-type=module', '--eval', program]));
  assert(size > 0 && size <= 8 << 20, `${size} bytes`);
});

test('memory that was freed is given back to the system', () => {
  const memory = JSON.stringify(import.meta.resolve('../../src/system/memory.js'));
  const program = `
    import { release, returnFreedMemory } from ${memory};

    returnFreedMemory();
    // This makes glibc keep more of what is freed after it.
    release(new Uint8Array(24 << 20).fill(1));
    const before = process.memoryUsage.rss();
    const blocks = Array.from({ length: 40 }, () => new Uint8Array(1 << 20).fill(1));
    blocks.forEach(release);
    console.log(process.memoryUsage.rss() - before);
  `;
  const kept = Number(run(process.execPath, ['--input-type=module', '--eval', program]));
  assert(kept < 16 << 20, `${kept} bytes`);
});
