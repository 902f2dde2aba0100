/**
 * A raw deflate stream (RFC 1951), compressed synchronously block by block as pigz does: each block
 * is primed with the 32 KiB before it and ends at a byte boundary (sync flush). The bytes depend
 * only on the content, the level and where the blocks end, and no more than one block is held in
 * memory.
 */
import { constants, deflateRawSync } from 'node:zlib';

/** How many bytes back deflate can refer. */
export const DEFLATE_WINDOW = 1 << 15;
/** Smallest output buffer that zlib is given. */
const MIN_OUTPUT_SIZE = 1 << 10;

/**
 * Compresses one block of a stream.
 * @param before the last {@link DEFLATE_WINDOW} bytes before the block, or as many as there are
 * @param isLast whether the block ends the stream
 */
export function deflateBlock(
  block: Uint8Array,
  before: Uint8Array,
  level: number,
  isLast: boolean,
): Uint8Array {
  return deflateRawSync(block, {
    level,
    finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    chunkSize: Math.max(MIN_OUTPUT_SIZE, block.length),
    dictionary: before.length > 0 ? before : undefined,
  });
}

/** Compresses a stream whose blocks come one after the other. */
export class RawDeflate {
  readonly #level: number;
  #before: Uint8Array = new Uint8Array();

  constructor(level: number) {
    this.#level = level;
  }

  /** Compresses the next block; the last one ends the stream. */
  block(bytes: Uint8Array, isLast: boolean): Uint8Array {
    const deflated = deflateBlock(bytes, this.#before, this.#level, isLast);
    if (!isLast) {
      // A copy, as the caller reuses its buffer. `slice` of a Buffer would be a view.
      this.#before = new Uint8Array(bytes.subarray(-DEFLATE_WINDOW));
    }
    return deflated;
  }
}
