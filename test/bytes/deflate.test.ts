/** Streams of deflate blocks, inflated by zlib. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DEFLATE_WINDOW, deflateBlock, RawDeflate } from '../../src/bytes/deflate.js';

const BLOCK = 100_000;
const content = Buffer.concat([Buffer.alloc(150_000, 'some words '), Buffer.alloc(120_000, 'x')]);
const blocks = [0, 1, 2].map((i) => content.subarray(i * BLOCK, (i + 1) * BLOCK));

function compress(): Buffer {
  const deflate = new RawDeflate(6);
  return Buffer.concat(blocks.map((block, i) => deflate.block(block, i === blocks.length - 1)));
}

test('the blocks of a stream are inflated to its content', () => {
  assert.ok(inflateRawSync(compress()).equals(content));
});

test('blocks that are compressed on their own, in any order, give the same stream', () => {
  const deflated = blocks.map((block, i) => {
    const before = blocks[i - 1]?.subarray(-DEFLATE_WINDOW) ?? new Uint8Array();
    return deflateBlock(block, before, 6, i === blocks.length - 1);
  });
  assert.ok(Buffer.concat(deflated).equals(compress()));
});

test('a block refers to the 32 KiB before it', () => {
  const noise = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * i * 31) >> 7));
  const repeated = deflateBlock(noise, noise, 6, true);
  assert.ok(repeated.length < deflateRawSync(noise).length / 10, `${repeated.length} bytes`);
});

test('the caller may reuse the memory of a block', () => {
  const deflate = new RawDeflate(6);
  const buffer = Buffer.alloc(BLOCK);
  const parts = blocks.map((block, i) => {
    block.copy(buffer);
    return deflate.block(buffer.subarray(0, block.length), i === blocks.length - 1);
  });
  assert.ok(Buffer.concat(parts).equals(compress()));
});
