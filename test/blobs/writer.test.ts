import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Compression, createCompressor } from '../../src/blobs/compress.js';
import { type BlobResult, BlobWriter } from '../../src/blobs/writer.js';
import { scratchDirectory } from '../support/scratch.js';

const GZIP: Compression = { name: 'gzip', level: 6 };
const gzip = await createCompressor(GZIP);
const BLOCK = gzip.blockSize;
const scratch = scratchDirectory();
let count = 0;

/** The blob of `content`, handed over in pieces of `step` bytes. */
function write(
  content: Uint8Array,
  step: number,
  compressor = gzip,
): BlobResult & { readonly path: string } {
  const path = join(scratch, `blob-${count++}`);
  const writer = new BlobWriter(path, compressor);
  for (let at = 0; at < content.length; at += step) {
    writer.write(content.subarray(at, at + step));
  }
  return { path, ...writer.finish() };
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Compresses well only with references across blocks: one random page, again and again, a little different each time. */
function repetitive(length: number): Buffer {
  const page = randomFillSync(Buffer.alloc(9000));
  const content = Buffer.alloc(length);
  for (let at = 0, i = 0; at < length; at += page.length, i++) {
    page.writeUInt32LE(i, (i * 41) % 8996);
    page.copy(content, at);
  }
  return content;
}

test('node and gzip read what is written, whatever its length', () => {
  const all = repetitive(3 * BLOCK + 12345);
  for (const length of [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, all.length]) {
    const content = all.subarray(0, length);
    const { path, diffId, digest, size, tarSize } = write(content, 100_000);
    const blob = readFileSync(path);
    assert.ok(gunzipSync(blob).equals(content), `${length} bytes by node`);
    assert.ok(
      execFileSync('gzip', ['-dc', path], { maxBuffer: 2 * all.length }).equals(content),
      `${length} bytes by gzip`,
    );
    assert.deepEqual(
      { diffId, digest, size, tarSize },
      {
        diffId: sha256(content),
        digest: sha256(blob),
        size: blob.length,
        tarSize: length,
      },
    );
  }
});

test('the bytes do not depend on how they were handed over', () => {
  const content = repetitive(2 * BLOCK + 99);
  const digests = [1000, 512, BLOCK, content.length].map((step) => write(content, step).digest);
  assert.deepEqual(new Set(digests).size, 1);
});

test('what is put where it belongs is the same as what is copied there', () => {
  const content = repetitive(2 * BLOCK + 99);
  const path = join(scratch, `blob-${count++}`);
  const writer = new BlobWriter(path, gzip);
  for (let at = 0, step = 1; at < content.length; step = (step * 7) % 99_991) {
    const room = writer.room();
    const piece = content.subarray(at, at + Math.min(step, room.length));
    if (step % 2 === 0) {
      room.set(piece);
    }
    writer.write(step % 2 === 0 ? room.subarray(0, piece.length) : piece);
    at += piece.length;
  }
  assert.equal(writer.finish().digest, write(content, 4096).digest);
});

test('a block refers to the one before it', () => {
  const content = repetitive(2 * BLOCK);
  assert.ok(write(content, 4096).size < 0.02 * content.length);
});

test('a higher level is smaller; none is the tar itself', async () => {
  const [level1, level9] = [
    await createCompressor({ name: 'gzip', level: 1 }),
    await createCompressor({ name: 'gzip', level: 9 }),
  ];
  const text = Buffer.from(
    Array.from({ length: 100_000 }, (_, i) => `line ${(i * i) % 7919}\n`).join(''),
  );
  const [fast, small] = [level1, level9].map((level) => write(text, 4096, level).size);
  assert.ok((small as number) < (fast as number), `${small} < ${fast}`);
  const { path, diffId, digest } = write(
    text,
    4096,
    await createCompressor({ name: 'none', level: 6 }),
  );
  assert.equal(digest, diffId);
  assert.ok(readFileSync(path).equals(text));
});

test('a file that exists is never overwritten', () => {
  const { path } = write(Buffer.from('x'), 1);
  assert.throws(() => new BlobWriter(path, gzip), { code: 'EEXIST' });
});
