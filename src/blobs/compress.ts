/**
 * Layer compression in blocks: each is compressed on its own, by any worker, and the compressed blocks follow each
 * other. The bytes depend on the content, the compression and its level only. gzip (RFC 1952) holds one raw deflate
 * stream (RFC 1951); a block refers to the 32 KiB before it and ends at a byte boundary (sync flush), as pigz does it.
 * zstd (RFC 8878) holds a frame for each block, as pzstd and zstd:chunked do it.
 */
import { crc32 } from 'node:zlib';
import { DEFLATE_WINDOW, deflateBlock } from '../bytes/deflate.js';
import type { LayerCompression } from '../oci/media-types.js';
import { loadZstd, ZSTD_VERSION } from './zstd.js';

export interface Compression {
  readonly name: LayerCompression;
  /** gzip: 1 (fast) to 9 (small); zstd: 1 to 19. */
  readonly level: number;
}

/** Compressions with one key make the same blob of the same tar. */
export function compressionKey({ name, level }: Compression): string {
  return name === 'none'
    ? name
    : `${name}-${level}-${name === 'gzip' ? process.versions.zlib : ZSTD_VERSION}`;
}

export interface Compressor {
  /** Bytes of tar in a block; the last may be shorter. */
  readonly blockSize: number;
  /** How far back, over the start of a block, its compression may refer. */
  readonly window: number;
  /** The stream is what is compressed: its digest is the diffId. */
  readonly isIdentity?: true | undefined;
  /**
   * The result is valid until the next call.
   * @param before up to `window` bytes that precede `block`; none for the first
   */
  compress(block: Uint8Array, before: Uint8Array): Uint8Array;
  /** What is around the blocks of one stream. */
  frame(): Frame;
}

export interface Frame {
  readonly start: Uint8Array;
  /** Takes note of a block, in order. */
  update(block: Uint8Array): void;
  /** What comes after the last block. */
  end(): Uint8Array;
}

/** Smaller blocks cost speed and ratio, larger ones memory. */
const BLOCK_SIZE = 1 << 20;
/** Frames do not refer to each other: 1 MiB would cost 1.3 % of the size, 8 MiB would gain 0.2 %. */
const ZSTD_BLOCK_SIZE = 4 << 20;
const NOTHING = new Uint8Array();

/** `UNSUPPORTED` where a package that it needs is not there. */
export async function createCompressor({ name, level }: Compression): Promise<Compressor> {
  switch (name) {
    case 'gzip':
      return {
        blockSize: BLOCK_SIZE,
        window: DEFLATE_WINDOW,
        compress: (block, before) => deflateBlock(block, before, level, false),
        frame: gzipFrame,
      };
    case 'zstd': {
      const compressFrame = await loadZstd();
      return {
        blockSize: ZSTD_BLOCK_SIZE,
        window: 0,
        compress: (block) => compressFrame(block, level),
        frame: () => zstdFrames(compressFrame(NOTHING, level).slice()),
      };
    }
    case 'none':
      return {
        blockSize: BLOCK_SIZE,
        window: 0,
        isIdentity: true,
        compress: (block) => block,
        frame: () => NO_FRAME,
      };
  }
}

const NO_FRAME: Frame = { start: NOTHING, update: () => {}, end: () => NOTHING };

/** Nothing is around the frames; of no blocks one frame tells. */
function zstdFrames(empty: Uint8Array): Frame {
  let isEmpty = true;
  return {
    ...NO_FRAME,
    update: () => {
      isEmpty = false;
    },
    end: () => (isEmpty ? empty : NOTHING),
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
