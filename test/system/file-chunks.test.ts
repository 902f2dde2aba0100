// Reading files in chunks: ranges, buffers, symlinks.
import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CHUNK_SIZE,
  type ChunkOptions,
  readChunks,
  readRange,
} from '../../src/system/file-chunks.js';
import { scratchDirectory } from '../support/scratch.js';

const content = Buffer.alloc(2 * CHUNK_SIZE + 100, 'some content ');
const scratch = scratchDirectory();
const path = join(scratch, 'file');
writeFileSync(path, content);

function read(options?: ChunkOptions): Buffer {
  return Buffer.concat(Array.from(readChunks(path, options), (chunk) => Buffer.from(chunk)));
}

test('a file or any range of it is read', () => {
  assert.deepEqual(read(), content);
  for (const [offset, length] of [
    [0, 0],
    [0, 1],
    [CHUNK_SIZE - 1, 2],
    [5, CHUNK_SIZE + 7],
    [content.length - 3, 100],
    [content.length + 1, 100],
  ] as const) {
    assert.deepEqual(read({ offset, length }), content.subarray(offset, offset + length));
  }
  assert.deepEqual(read({ offset: 7 }), content.subarray(7));
});

test('files that are read at the same time do not share a buffer', () => {
  const other = join(scratch, 'other');
  writeFileSync(other, Buffer.alloc(10, 'x'));
  for (const chunk of readChunks(path)) {
    const before = Buffer.from(chunk);
    for (const otherChunk of readChunks(other)) {
      assert.equal(Buffer.from(otherChunk).toString(), 'x'.repeat(10));
    }
    assert.deepEqual(Buffer.from(chunk), before);
  }
});

test('the buffers of the caller are used', () => {
  const buffer = Buffer.alloc(8);
  for (const chunk of readChunks(path, { length: 20, buffers: () => buffer })) {
    assert.equal(chunk.buffer, buffer.buffer);
    assert.ok(chunk.length <= buffer.length);
  }
});

test('a symlink is followed only if that is asked for', () => {
  const link = join(scratch, 'link');
  symlinkSync('file', link);
  assert.throws(() => [...readChunks(link)], { code: 'ELOOP' });
  const [chunk = new Uint8Array()] = readChunks(link, { length: 4, followSymlink: true });
  assert.equal(Buffer.from(chunk).toString(), 'some');
});

test('a range above the limit is refused before it is read', () => {
  assert.deepEqual(readRange(path, 2, 3, 3), content.subarray(2, 5));
  assert.throws(() => readRange(path, 0, 4, 3), { code: 'LIMIT', message: /4 bytes, at most 3/ });
});
