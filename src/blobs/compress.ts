/**
 * Compression of layers in blocks. Each block is compressed by itself, by any worker thread, and
 * the compressed blocks are concatenated, so the bytes depend only on the content, the compression
 * and its level.
 *
 * - gzip (RFC 1952): the blocks form one raw deflate stream (RFC 1951). A block refers to the
 *   32 KiB before it and ends at a byte boundary (sync flush), as pigz does it.
 * - zstd (RFC 8878): each block is a frame, as pzstd and zstd:chunked do it.
 */
import { crc32 } from 'node:zlib';
import { DEFLATE_WINDOW, deflateBlock } from '../bytes/deflate.js';
import type { LayerCompression } from '../oci/media-types.js';
import { release } from '../system/memory.js';
import { loadZstd, ZSTD_VERSION } from './zstd.js';

export interface Compression {
  readonly name: LayerCompression;
  /** gzip: 1 (fast) to 9 (small); zstd: 1 to 19. */
  readonly level: number;
}

/** The levels of blobs, unless another one is asked for. */
export const STANDARD_LEVELS: Readonly<Record<LayerCompression, number>> = {
  gzip: 6,
  zstd: 3,
  none: 1,
};

/** Returns equal keys for compressions that make the same blob of the same tar. */
export function compressionKey({ name, level }: Compression): string {
  switch (name) {
    case 'gzip':
      return `gzip-${level}-${process.versions.zlib}`;
    case 'zstd':
      return `zstd-${level}-${ZSTD_VERSION}`;
    case 'none':
      return 'none';
  }
}

/** Returns what compresses, with its version, for people. */
export function compressionName({ name, level }: Compression): string {
  switch (name) {
    case 'gzip':
      return `gzip, level ${level}, zlib ${process.versions.zlib}`;
    case 'zstd':
      return `zstd ${ZSTD_VERSION}, level ${level}`;
    case 'none':
      return 'nothing';
  }
}

/**
 * Compresses blocks. Each thread needs its own, since a result is only valid until the next call.
 */
export interface Compressor {
  /** Bytes of tar in a block; the last block may be shorter. */
  readonly blockSize: number;
  /** How many of the bytes before a block its compression may refer to. */
  readonly windowSize: number;
  /** Whether the blob equals its tar, so that its digest is also the diffId. */
  readonly isIdentity: boolean;
  /**
   * Compresses one block. The result is valid until the next call.
   * @param window up to `windowSize` bytes that precede `block`; empty for the first block
   */
  compress(block: Uint8Array, window: Uint8Array): Uint8Array;
  /** Starts a stream. */
  frame(): Frame;
}

/** The bytes before and after the blocks of one stream. */
export interface Frame {
  /** Precedes the first block. */
  readonly start: Uint8Array;
  /** Takes each block before compression, in order. */
  update(block: Uint8Array): void;
  /** Returns what follows the last block. */
  end(): Uint8Array;
}

/** Smaller blocks would cost speed and size, larger ones memory. */
const BLOCK_SIZE = 1 << 20;
/**
 * Frames do not refer to each other, so smaller blocks compress less well: with blocks of 1 MiB
 * blobs would be 1.3 % larger, with blocks of 8 MiB 0.2 % smaller.
 */
const ZSTD_BLOCK_SIZE = 4 << 20;
const NO_BYTES = new Uint8Array();

/** Throws `UNSUPPORTED` if the package that zstd needs is not installed. */
export async function createCompressor({ name, level }: Compression): Promise<Compressor> {
  switch (name) {
    case 'gzip':
      return gzipCompressor(level);
    case 'zstd':
      return zstdCompressor(level);
    case 'none':
      return IDENTITY;
  }
}

const NO_FRAME: Frame = { start: NO_BYTES, update: () => {}, end: () => NO_BYTES };

const IDENTITY: Compressor = {
  blockSize: BLOCK_SIZE,
  windowSize: 0,
  isIdentity: true,
  compress: (block) => block,
  frame: () => NO_FRAME,
};

async function zstdCompressor(level: number): Promise<Compressor> {
  const compressFrame = await loadZstd();
  return {
    blockSize: ZSTD_BLOCK_SIZE,
    windowSize: 0,
    isIdentity: false,
    compress: (block) => compressFrame(block, level),
    frame: () => zstdFrames(compressFrame(NO_BYTES, level).slice()),
  };
}

/** @param emptyFrame the whole stream if there are no blocks */
function zstdFrames(emptyFrame: Uint8Array): Frame {
  let isEmpty = true;
  return {
    start: NO_BYTES,
    update() {
      isEmpty = false;
    },
    end: () => (isEmpty ? emptyFrame : NO_BYTES),
  };
}

function gzipCompressor(level: number): Compressor {
  let lastResult: Uint8Array = NO_BYTES;
  return {
    blockSize: BLOCK_SIZE,
    windowSize: DEFLATE_WINDOW,
    isIdentity: false,
    compress(block, window) {
      // V8 would let tens of them add up: they do not count as objects of the young generation.
      release(lastResult);
      lastResult = deflateBlock(block, window, level, false);
      return lastResult;
    },
    frame: gzipFrame,
  };
}

/** Magic, deflate, no flags, mtime 0, no extra flags, unknown system. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
/** An empty final deflate block (fixed codes, end of block). */
const DEFLATE_END = Uint8Array.of(3, 0);

function gzipFrame(): Frame {
  let checksum = 0;
  let length = 0;
  return {
    start: GZIP_HEADER,
    update(block) {
      checksum = crc32(block, checksum);
      length += block.length;
    },
    end() {
      const trailer = Buffer.alloc(8);
      trailer.writeUInt32LE(checksum, 0);
      trailer.writeUInt32LE(length % 2 ** 32, 4);
      return Buffer.concat([DEFLATE_END, trailer]);
    },
  };
}
