import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createCompressor } from '../../src/blobs/compress.js';
import { type BlobResult, BlobWriter } from '../../src/blobs/writer.js';
import { scratchDirectory } from '../support/scratch.js';

const gzip = await createCompressor({ name: 'gzip', level: 6 });
const BLOCK = gzip.blockSize;
const scratch = scratchDirectory();
let count = 0;
const newPath = () => join(scratch, `blob-${count++}`);

/** Writes the blob of `content`, handed over in pieces of `step` bytes. */
function write(
  content: Uint8Array,
  step: number,
  compressor = gzip,
): BlobResult & { readonly path: string } {
  const path = newPath();
  const writer = new BlobWriter(path, compressor);
  for (let at = 0; at < content.length; at += step) {
    writer.write(content.subarray(at, at + step));
  }
  return { path, ...writer.finish() };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** One random page again and again, changed a little each time: only references compress it. */
function repetitive(length: number): Buffer {
  const page = randomFillSync(Buffer.alloc(9000));
  const content = Buffer.alloc(length);
  for (let at = 0, i = 0; at < length; at += page.length, i++) {
    page.writeUInt32LE(i, (i * 41) % 8996);
    page.copy(content, at);
  }
  return content;
}

test('Node and gzip read blobs of every length', () => {
  const all = repetitive(3 * BLOCK + 12345);
  for (const length of [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, all.length]) {
    const content = all.subarray(0, length);
    const { path } = write(content, 100_000);
    assert.ok(gunzipSync(readFileSync(path)).equals(content), `${length} bytes by Node`);
    const output = execFileSync('gzip', ['-dc', path], { maxBuffer: 2 * all.length });
    assert.ok(output.equals(content), `${length} bytes by gzip`);
  }
});

test('the result has the digests and sizes of tar and blob', () => {
  for (const length of [0, 1, BLOCK, BLOCK + 1]) {
    const content = repetitive(length);
    const { path, ...result } = write(content, 100_000);
    const blob = readFileSync(path);
    assert.deepEqual(result, {
      diffId: sha256(content),
      digest: sha256(blob),
      size: blob.length,
      tarSize: length,
    });
  }
});

test('the bytes do not depend on the pieces that are handed over', () => {
  const content = repetitive(2 * BLOCK + 99);
  const digests = [1000, 512, BLOCK, content.length].map((step) => write(content, step).digest);
  assert.equal(new Set(digests).size, 1);
});

test('bytes placed in the free space give the same blob as bytes that are copied', () => {
  const content = repetitive(2 * BLOCK + 99);
  const writer = new BlobWriter(newPath(), gzip);
  for (let at = 0, step = 1; at < content.length; step = (step * 7) % 99_991) {
    const freeSpace = writer.freeSpace();
    const piece = content.subarray(at, at + Math.min(step, freeSpace.length));
    if (step % 2 === 0) {
      freeSpace.set(piece);
      writer.write(freeSpace.subarray(0, piece.length));
    } else {
      writer.write(piece);
    }
    at += piece.length;
  }
  assert.equal(writer.finish().digest, write(content, 4096).digest);
});

test('a gzip block refers to the block before it', () => {
  const content = repetitive(2 * BLOCK);
  assert.ok(write(content, 4096).size < 0.02 * content.length);
});

const text = Buffer.from(
  Array.from({ length: 100_000 }, (_, i) => `line ${(i * i) % 7919}\n`).join(''),
);

test('a higher level makes a smaller blob', async () => {
  const fast = write(text, 4096, await createCompressor({ name: 'gzip', level: 1 }));
  const small = write(text, 4096, await createCompressor({ name: 'gzip', level: 9 }));
  assert.ok(small.size < fast.size, `${small.size} < ${fast.size}`);
});

test('without compression the blob is the tar', async () => {
  const compressor = await createCompressor({ name: 'none', level: 6 });
  const { path, diffId, digest } = write(text, 4096, compressor);
  assert.equal(digest, diffId);
  assert.ok(readFileSync(path).equals(text));
});

test('an existing file is never overwritten', () => {
  const { path } = write(Buffer.from('x'), 1);
  assert.throws(() => new BlobWriter(path, gzip), { code: 'EEXIST' });
});

/** Whether this process has the file at `path` open. */
function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // The directory itself, which is closed by now.
    }
  });
}

test('finishing a blob closes its file, also if what is left cannot be written', () => {
  const end = () => {
    throw new Error('no space');
  };
  const failing = { ...gzip, frame: () => ({ ...gzip.frame(), end }) };
  const path = newPath();
  const writer = new BlobWriter(path, failing);
  writer.write(Buffer.from('content'));
  assert.ok(isOpen(path));
  assert.throws(() => writer.finish(), /no space/);
  assert.ok(!isOpen(path));
});
