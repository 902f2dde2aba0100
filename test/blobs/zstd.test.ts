import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { createCompressor } from '../../src/blobs/compress.js';
import { BlobWriter } from '../../src/blobs/writer.js';
import { loadNativeZstd, loadWasmZstd, loadZstd } from '../../src/blobs/zstd.js';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import { layerDecompressor } from '../../src/oci/decompress.js';
import { OCI_LAYER_ZSTD } from '../../src/oci/media-types.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const scratch = scratchDirectory();
const compressor = await createCompressor({ name: 'zstd', level: 3 });
let count = 0;

/** Text, which compresses well, and noise, which does not. */
function mixed(length: number): Buffer {
  const content = Buffer.alloc(
    length,
    Array.from({ length: 5000 }, (_, i) => `line ${(i * i) % 7919}`).join('\n'),
  );
  for (let at = 0; at + 50_000 < length; at += 300_000) {
    randomFillSync(content.subarray(at, at + 50_000));
  }
  return content;
}

function write(content: Uint8Array) {
  const path = join(scratch, `blob-${count++}`);
  const writer = new BlobWriter(path, compressor);
  writer.write(content);
  return { path, ...writer.finish() };
}

async function decompress(blob: Uint8Array): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const source = Readable.from([blob], { objectMode: false });
  const sink = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await pipeline([source, ...layerDecompressor(OCI_LAYER_ZSTD), sink]);
  return Buffer.concat(chunks);
}

test('the native and the WebAssembly build give the same bytes', async () => {
  const [native, wasm] = [loadNativeZstd() ?? (await loadZstd()), await loadWasmZstd()];
  for (const [length, level] of [
    [0, 3],
    [1, 3],
    [3 << 20, 1],
    [4 << 20, 3],
    [700_000, 19],
  ] as const) {
    const content = mixed(length);
    assert.ok(
      Buffer.from(native(content, level)).equals(wasm(content, level)),
      `${length} bytes, level ${level}`,
    );
    assert.ok(Buffer.from(native(content, level)).equals(native(content, level)), 'and again');
  }
});

/** SHA-256 of the frames that zstd 1.5.6 makes of {@link pinnedContent}, by level. */
const PINNED_FRAMES = [
  [1, '8af553f40c98b856bba609a669191404450733c35010d10ce2d61ace75365fb0'],
  [3, '156f34f4f845f5931d93c3ba21811910050f0d50a57d721f10b645a969547151'],
  [19, 'df2c22d2f0146628f5ba14a09868bb643ba61eda373f195aa4c7f0d732994987'],
] as const;
/** SHA-256 of the module that holds the WebAssembly build. */
const PINNED_WASM = '39c42a9b418b8814d736c2a2bfaf7ffcbfc39a673d836b5c4f26ece6fb530222';

/** Half a MiB that zstd can compress, the same on every machine. */
function pinnedContent(): Buffer {
  const lines = Array.from({ length: 40_000 }, (_, i) => `${(i * 2_654_435_761) % 4_294_967_296}`);
  return Buffer.from(lines.join('\n'));
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the WebAssembly build is the pinned one, and both builds give the pinned bytes', async () => {
  const module = new URL('../prebuilds/zstd.js', import.meta.resolve('@cloudpss/zstd/wasm'));
  assert.equal(sha256(readFileSync(module)), PINNED_WASM);

  const builds = [await loadWasmZstd(), await loadZstd()];
  const content = pinnedContent();
  for (const [level, digest] of PINNED_FRAMES) {
    for (const compress of builds) {
      assert.equal(sha256(compress(content, level)), digest, `level ${level}`);
    }
  }
});

describe('a zstd blob', () => {
  const { blockSize } = compressor;
  for (const length of [0, 1, blockSize - 1, blockSize, 2 * blockSize + 12345]) {
    test(`of ${length} bytes is read by ostrata and by zstd`, needs('zstd'), async () => {
      const content = mixed(length);
      const { path, size } = write(content);
      const blob = readFileSync(path);
      assert.equal(blob.length, size);
      assert.ok((await decompress(blob)).equals(content));
      execFileSync('zstd', ['-q', '-t', path]);
      assert.ok(execFileSync('zstd', ['-q', '-dc', path], { maxBuffer: 2 ** 30 }).equals(content));
    });
  }

  test('that the zstd program made is read', needs('zstd'), async () => {
    const path = join(scratch, 'foreign');
    const content = mixed(20_000_000);
    writeFileSync(path, content);
    const blob = execFileSync('zstd', ['-q', '-19', '--long=25', '-c', path], {
      maxBuffer: 2 ** 30,
    });
    assert.ok((await decompress(blob)).equals(content));
  });

  test('that is damaged is refused', async () => {
    const blob = readFileSync(write(mixed(100_000)).path);
    await assert.rejects(
      decompress(Buffer.concat([blob.subarray(0, 100), blob.subarray(0, -100)])),
    );
    await assert.rejects(decompress(Buffer.from('no frame at all')));
  });
});

test('an image of zstd layers passes verification', async () => {
  const spec = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b1'.repeat(100_000) }) });
  const { image } = await buildImage(spec, { compression: { name: 'zstd', level: 3 } });
  assert.ok(image.manifest.layers.every(({ mediaType }) => mediaType === OCI_LAYER_ZSTD));
  await verifyImage(image, silentLogger);
});
