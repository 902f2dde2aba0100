/** Decides who compresses the blocks of a blob: its writer alone, or also workers that are idle. */
import type { Compressor } from './compress.js';
import type { QueueEntry, SharedWorkQueue } from './work-queue.js';

/**
 * Compresses the blocks of one blob. Both methods return the compressed blocks that are finished by
 * then, in the order of the blocks; each is valid until the next one is asked for.
 */
export interface BlockCompressor {
  /**
   * Takes the next block, which may be overwritten once the result was iterated.
   * @param window the bytes that precede the block, see {@link Compressor.compress}
   */
  compress(block: Uint8Array, window: Uint8Array): Iterable<Uint8Array>;
  /** Returns all blocks that are still missing. */
  finish(): Iterable<Uint8Array>;
}

/** Compresses each block at once. */
export class InlineBlockCompressor implements BlockCompressor {
  readonly #compressor: Compressor;

  constructor(compressor: Compressor) {
    this.#compressor = compressor;
  }

  *compress(block: Uint8Array, window: Uint8Array): Iterable<Uint8Array> {
    yield this.#compressor.compress(block, window);
  }

  *finish(): Iterable<Uint8Array> {}
}

/**
 * Submits blocks to a work queue as long as idle workers take them; otherwise compresses them
 * itself.
 */
export class SharedBlockCompressor implements BlockCompressor {
  readonly #compressor: Compressor;
  readonly #queue: SharedWorkQueue;
  /** Entries of the blocks that have been submitted and not collected, in order. */
  readonly #submitted: QueueEntry[] = [];

  constructor(compressor: Compressor, queue: SharedWorkQueue) {
    this.#compressor = compressor;
    this.#queue = queue;
  }

  *compress(block: Uint8Array, window: Uint8Array): Iterable<Uint8Array> {
    if (!this.#queue.hasIdleWorkers) {
      yield* this.finish();
      yield this.#compressor.compress(block, window);
      return;
    }

    let entry = this.#queue.submit(block, window);
    while (entry === undefined && this.#submitted.length > 0) {
      yield this.#collectFirst();
      entry = this.#queue.submit(block, window);
    }
    if (entry === undefined) {
      // The blocks of other blobs fill the queue.
      yield this.#compressor.compress(block, window);
    } else {
      this.#submitted.push(entry);
    }
  }

  *finish(): Iterable<Uint8Array> {
    while (this.#submitted.length > 0) {
      yield this.#collectFirst();
    }
  }

  #collectFirst(): Uint8Array {
    const compressed = this.#queue.awaitFirst(this.#submitted);
    this.#submitted.shift();
    return compressed;
  }
}
