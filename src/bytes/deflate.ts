/** One raw deflate stream (RFC 1951), compressed synchronously block by block. */
import { constants, deflateRawSync } from 'node:zlib';

/** How far back deflate can refer. */
const DEFLATE_WINDOW = 1 << 15;

/**
 * Each block is primed with the 32 KiB before it and ends at a byte boundary (sync flush), as pigz does: the bytes
 * depend on the content, the level and where the blocks end, and nothing but a block is held in memory.
 */
export class RawDeflate {
  readonly #level: number;
  #dictionary: Uint8Array | undefined;

  constructor(level: number) {
    this.#level = level;
  }

  /** The next part of the stream; the last block ends it. */
  block(bytes: Uint8Array, isLast: boolean): Uint8Array {
    const deflated = deflateRawSync(bytes, {
      level: this.#level,
      finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      chunkSize: Math.max(1024, bytes.length),
      ...(this.#dictionary && { dictionary: this.#dictionary }),
    });
    // A copy (slice of a Buffer would be a view): the caller fills its block again.
    if (!isLast) {
      this.#dictionary = new Uint8Array(bytes.subarray(-DEFLATE_WINDOW));
    }
    return deflated;
  }
}
