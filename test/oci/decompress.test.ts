// Blobs that expand to far more than their size: decompression takes little memory and ends.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { suite, test } from 'node:test';
import { createGzip } from 'node:zlib';
import { boundedParts } from '../../src/bytes/zstd-frames.js';
import { OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../../src/oci/media-types.js';
import { END_OF_ARCHIVE, encodeTarHeader } from '../../src/tar/header.js';
import { repoRoot } from '../support/root.js';
import { run } from '../support/run.js';
import { zstdOfZeros } from '../support/zstd-bomb.js';

/** How much more memory a blob may take than an empty one. */
const MAX_EXTRA_MEMORY = 64 << 20;

const drainBlob = join(repoRoot, 'dist/test/support/drain-blob.js');

interface Drained {
  readonly content: number;
  readonly error?: string;
  readonly maxMemory: number;
}

/** Decompresses a blob in a process of its own, whose memory is measured. */
function drain(mediaType: string, blob: Uint8Array): Drained {
  return JSON.parse(run(process.execPath, [drainBlob, mediaType], { input: blob }));
}

const header = (size: number) =>
  encodeTarHeader({ name: 'zeros', type: 'file', mode: 0o644, uid: 0, gid: 0, size });

async function gzipOfZeros(start: Uint8Array, zeros: number, end: Uint8Array): Promise<Buffer> {
  const chunk = Buffer.alloc(1 << 20);
  const chunks = function* () {
    yield start;
    for (let size = 0; size < zeros; size += chunk.length) {
      yield chunk;
    }
    yield end;
  };
  const blob: Uint8Array[] = [];
  await pipeline(Readable.from(chunks()), createGzip({ level: 1 }), async (compressed) => {
    for await (const bytes of compressed) {
      blob.push(bytes);
    }
  });
  return Buffer.concat(blob);
}

suite('a small blob of 512 MiB', () => {
  const size = 512 << 20;
  for (const [name, mediaType, compress] of [
    ['zstd', OCI_LAYER_ZSTD, zstdOfZeros],
    ['gzip', OCI_LAYER_GZIP, gzipOfZeros],
  ] as const) {
    test(`of ${name} is read within 64 MB if a tar header states its size`, async () => {
      const blob = await compress(header(size), size, END_OF_ARCHIVE);
      assert.ok(blob.length < size / 200, `${blob.length} bytes`);

      const { content, error, maxMemory } = drain(mediaType, blob);
      assert.equal(error, undefined);
      assert.equal(content, size);
      assertBounded(maxMemory, mediaType, await compress(header(0), 0, END_OF_ARCHIVE));
    });

    test(`of ${name} is refused within 64 MB if no tar header states its size`, async () => {
      const blob = await compress(END_OF_ARCHIVE, size, END_OF_ARCHIVE);
      const { content, error, maxMemory } = drain(mediaType, blob);
      assert.match(error ?? '', /more than 1048576 bytes after the end of the tar archive/);
      assert.equal(content, 0);
      assertBounded(maxMemory, mediaType, await compress(header(0), 0, END_OF_ARCHIVE));
    });
  }

  function assertBounded(memory: number, mediaType: string, emptyBlob: Uint8Array): void {
    const extra = memory - drain(mediaType, emptyBlob).maxMemory;
    assert.ok(extra < MAX_EXTRA_MEMORY, `${extra} bytes more than for an empty tar`);
  }
});

suite('a zstd stream', () => {
  const parts = async (stream: Uint8Array, chunkSize = stream.length) => {
    const cut: Buffer[] = [];
    const chunks = function* () {
      for (let at = 0; at < stream.length; at += chunkSize) {
        yield stream.subarray(at, at + chunkSize);
      }
    };
    for await (const part of boundedParts(
      Readable.from(chunks(), { objectMode: false }),
      1 << 25,
    )) {
      cut.push(Buffer.from(part));
    }
    return cut;
  };
  const small = zstdOfZeros(Buffer.from('start'), 4 << 20, Buffer.from('end'));
  const skippable = Buffer.from('5a2a4d180300000001020300', 'hex').subarray(0, 11);

  test('is cut into parts of a megabyte of content, wherever its chunks end', async () => {
    const stream = Buffer.concat([small, skippable, small]);
    assert.ok((await parts(stream)).length >= 8);
    for (const chunkSize of [1, 2, 3, 5, 64]) {
      assert.deepEqual(Buffer.concat(await parts(stream, chunkSize)), stream);
    }
  });

  test('that ends within a frame or goes on without one is refused', async () => {
    for (const length of [1, 4, 5, 6, 9, small.length - 1]) {
      await assert.rejects(parts(small.subarray(0, length)), {
        code: 'CORRUPT',
        message: 'the zstd stream ends within a frame',
      });
    }
    await assert.rejects(parts(Buffer.concat([small, Buffer.from('more')])), {
      code: 'CORRUPT',
      message: 'zstd frame with the magic 0x65726f6d, expected 0xfd2fb528',
    });
  });

  test('with a window of more than 32 MiB is refused', async () => {
    const wide = Buffer.from(small);
    wide[5] = (26 - 10) << 3;
    await assert.rejects(parts(wide), {
      code: 'LIMIT',
      message: 'zstd frame with a window of 67108864 bytes, at most 33554432',
    });
    const single = Buffer.from('28b52ffda001000002', 'hex');
    await assert.rejects(parts(single), {
      code: 'LIMIT',
      message: 'zstd frame with a window of 33554433 bytes, at most 33554432',
    });
  });
});
