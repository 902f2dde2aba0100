import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadNativeZstd } from '../../src/system/native-zstd.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { compressWithPrefix, decompressWithPrefix } from '../../src/tar-diff/patch-frame.js';
import { TarDiffWriter } from '../../src/tar-diff/writer.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { apply, oldFiles } from '../support/tar-diff.js';
import { needs } from '../support/tools.js';

const scratch = scratchDirectory();
const native = {
  skip: openZstdLibrary() === undefined && 'needs Linux with glibc and koffi',
};

/** Returns bytes that do not compress, the same for the same seed. */
function noise(size: number, seed: string): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${seed}${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, size);
}

const old = noise(700_001, 'old');
/** The old file with a change, an insertion and a removal. */
const changed = Buffer.concat([
  old.subarray(0, 100_000),
  Buffer.from('inserted'),
  old.subarray(100_000, 400_000),
  noise(5000, 'new'),
  old.subarray(500_000),
]);

async function decompress(frame: Uint8Array, prefix: Uint8Array): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const frames = async function* () {
    for (let at = 0; at < frame.length; at += 777) {
      yield frame.subarray(at, at + 777);
    }
  };
  const size = prefix.length;
  for await (const chunk of decompressWithPrefix(frames(), { size, chunks: [prefix] })) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

test('a frame holds only what its prefix lacks, and is read back', native, async () => {
  const zstd = loadNativeZstd('testing');
  for (const level of [3, 12, 19]) {
    const frame = await compressWithPrefix(zstd, changed, old, level);
    assert.ok(frame.length < 6000, `level ${level}: ${frame.length} bytes`);
    assert.ok((await decompress(frame, old)).equals(changed));
  }
});

test('a frame finds bytes at the beginning of a large prefix', native, async () => {
  const start = noise(1 << 20, 'start');
  const prefix = Buffer.concat([start, randomBytes(8 << 20)]);
  const frame = await compressWithPrefix(loadNativeZstd('testing'), start, prefix, 3);
  assert.ok(frame.length < 6000, `${frame.length} bytes`);
  assert.ok((await decompress(frame, prefix)).equals(start));
});

test('frames are read back whatever the sizes of content and prefix', native, async () => {
  const zstd = loadNativeZstd('testing');
  const sizes = [0, 1, 255, 256, 65_791, 65_792, 131_072, 131_073, 400_000];
  for (const size of sizes) {
    for (const prefixSize of sizes) {
      const content = changed.subarray(0, size);
      const prefix = old.subarray(0, prefixSize);
      const frame = await compressWithPrefix(zstd, content, prefix, 3);
      assert.ok((await decompress(frame, prefix)).equals(content), `${size} of ${prefixSize}`);
    }
  }
});

test('zstd reads our frames', { skip: native.skip || needs('zstd').skip }, async () => {
  const frame = await compressWithPrefix(loadNativeZstd('testing'), changed, old, 12);
  const [oldFile, frameFile, newFile] = ['old', 'frame', 'new'].map((name) => join(scratch, name));
  assert.ok(oldFile && frameFile && newFile);
  writeFileSync(oldFile, old);
  writeFileSync(frameFile, frame);
  run('zstd', ['-q', '-d', '-f', `--patch-from=${oldFile}`, frameFile, '-o', newFile]);
  assert.ok(readFileSync(newFile).equals(changed));
});

test('frames of zstd are read, with their checksum', needs('zstd'), async () => {
  const [oldFile, frameFile, newFile] = ['old', 'frame', 'new'].map((name) => join(scratch, name));
  assert.ok(oldFile && frameFile && newFile);
  writeFileSync(oldFile, old);
  writeFileSync(newFile, changed);
  run('zstd', ['-q', '-f', '--check', `--patch-from=${oldFile}`, newFile, '-o', frameFile]);
  assert.ok((await decompress(readFileSync(frameFile), old)).equals(changed));
});

test('a frame is not read with another prefix', native, async () => {
  const frame = await compressWithPrefix(loadNativeZstd('testing'), changed, old, 3);
  const other = noise(old.length, 'other');
  assert.ok(!(await decompress(frame, other)).equals(changed));
});

test('what is written is the same each time, and is read back', native, async () => {
  const zstd = loadNativeZstd('testing');
  const write = async () => {
    const chunks: Uint8Array[] = [];
    const onBytes = (bytes: Uint8Array) => chunks.push(Buffer.from(bytes));
    const writer = new TarDiffWriter(zstd, { level: 12, write: onBytes });
    await writer.data(3, [Buffer.from('one')]);
    await writer.copy('usr/old', 0, 10);
    await writer.copy('usr/old', 10, 10);
    await writer.copy('usr/old', 500_000, 200_001);
    await writer.zstdDict('usr/old', await compressWithPrefix(zstd, changed, old, 12));
    await writer.copy('usr/old', 5, 1);
    await writer.data(changed.length, [changed.subarray(0, 7), changed.subarray(7)]);
    await writer.end();
    return Buffer.concat(chunks);
  };
  const delta = await write();
  assert.ok(delta.equals(await write()));
  const expected = Buffer.concat([
    Buffer.from('one'),
    old.subarray(0, 20),
    old.subarray(500_000),
    changed,
    old.subarray(5, 6),
    changed,
  ]);
  assert.ok((await apply(delta, oldFiles({ 'usr/old': old }))).equals(expected));
});

test('many frames take no more memory than one', async () => {
  const prefix = Buffer.alloc(2 << 20, 'prefix');
  const emptyFrame = Buffer.from('28b52ffd2000010000', 'hex');
  await decompress(emptyFrame, prefix);
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 150; i++) {
    assert.equal((await decompress(emptyFrame, prefix)).length, 0);
  }
  const grown = (process.memoryUsage.rss() - before) / (1 << 20);
  assert.ok(grown < 150, `${Math.round(grown)} MiB more`);
});

test('what was written 20 MiB before is not written again', native, async () => {
  const zstd = loadNativeZstd('testing');
  const repeated = noise(300_000, 'repeated');
  const between = Buffer.alloc(20 << 20);
  let size = 0;
  const onBytes = (bytes: Uint8Array) => {
    size += bytes.length;
  };
  const writer = new TarDiffWriter(zstd, { level: 3, write: onBytes });
  for (const data of [repeated, between, repeated]) {
    await writer.data(data.length, [data]);
  }
  await writer.end();
  assert.ok(size < 320_000, `${size} bytes`);
});
