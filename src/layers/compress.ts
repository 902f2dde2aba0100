/**
 * Layer compression in blocks. gzip (RFC 1952) holds one raw deflate stream (RFC 1951) made of independently
 * compressed blocks: each is primed with the 32 KiB before it and ends at a byte boundary (sync flush), as pigz does.
 * The bytes depend on the content, the level and {@link COMPRESSION_BLOCK} only.
 */
import { constants, crc32, deflateRawSync } from 'node:zlib';

/** Bytes of tar per compressed block. Smaller ones cost speed and ratio, larger ones memory. */
export const COMPRESSION_BLOCK = 1 << 20;
/** How far back deflate can refer. */
const DEFLATE_WINDOW = 1 << 15;

export type CompressionName = 'gzip' | 'none';
export interface Compression {
  readonly name: CompressionName;
  /** 1 (fast) to 9 (small); for gzip only. */
  readonly level: number;
}

/** Turns blocks into compressed bytes; `finish` must be called once, last. */
export interface Compressor {
  block(block: Uint8Array): readonly Uint8Array[];
  finish(): readonly Uint8Array[];
}

export function createCompressor({ name, level }: Compression): Compressor {
  return name === 'gzip' ? gzip(level) : { block: (block) => [block], finish: () => [] };
}

/** Magic, deflate, no flags, mtime 0, no extra flags, unknown system. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
/** An empty final deflate block (fixed codes, end of block). */
const DEFLATE_END = Uint8Array.of(3, 0);

function gzip(level: number): Compressor {
  let checksum = 0;
  let length = 0;
  let dictionary: Uint8Array | undefined;
  return {
    block(block) {
      const first = length === 0;
      checksum = crc32(block, checksum);
      length += block.length;
      const deflated = deflateRawSync(block, {
        level,
        finishFlush: constants.Z_SYNC_FLUSH,
        chunkSize: COMPRESSION_BLOCK,
        ...(dictionary && { dictionary }),
      });
      // A copy, not slice(): on a Buffer that is a view of what the caller overwrites.
      dictionary = new Uint8Array(block.subarray(-DEFLATE_WINDOW));
      return first ? [GZIP_HEADER, deflated] : [deflated];
    },
    finish() {
      const trailer = Buffer.alloc(8);
      trailer.writeUInt32LE(checksum, 0);
      trailer.writeUInt32LE(length % 2 ** 32, 4);
      return length === 0 ? [GZIP_HEADER, DEFLATE_END, trailer] : [DEFLATE_END, trailer];
    },
  };
}
