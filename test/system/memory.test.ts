import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from '../../src/system/memory.js';

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
