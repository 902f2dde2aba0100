import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { writeFully } from '../system/write-fully.js';
import type { Compressor } from './compress.js';
import type { SharedWorkQueue, Slot } from './work-queue.js';

/** What a written layer blob is known by. */
export interface BlobResult {
  /** `sha256:HEX` of the uncompressed tar. */
  readonly diffId: string;
  /** `sha256:HEX` of the file. */
  readonly digest: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
}

/**
 * Writes a layer blob to a new file: collects what it is given into blocks, then hashes, compresses and writes each
 * block once. Synchronous, for worker threads; memory is a few blocks.
 */
export class BlobWriter {
  readonly #fd: number;
  readonly #compressor: Compressor;
  readonly #frame;
  readonly #board: SharedWorkQueue | undefined;
  /** Blocks on the board, in order. */
  readonly #waiting: Slot[] = [];
  readonly #block: Buffer;
  #filled = 0;
  #before = new Uint8Array();
  readonly #diffId = createHash('sha256');
  readonly #digest = createHash('sha256');
  #size = 0;
  #tarSize = 0;

  /**
   * Creates `path`, which must not exist.
   * @param board where other workers may help
   */
  constructor(path: string, compressor: Compressor, board?: SharedWorkQueue) {
    this.#fd = openSync(path, 'wx', 0o644);
    this.#compressor = compressor;
    this.#frame = compressor.frame();
    this.#board = board;
    this.#block = Buffer.allocUnsafeSlow(compressor.blockSize);
    this.#emit(this.#frame.start);
  }

  /** Where the next bytes belong: those that are put there and then written are not copied. Never empty. */
  room(): Uint8Array {
    return this.#block.subarray(this.#filled);
  }

  write(bytes: Uint8Array): void {
    const isInPlace = bytes.buffer === this.#block.buffer;
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(bytes.length - at, this.#block.length - this.#filled);
      if (!isInPlace) {
        this.#block.set(bytes.subarray(at, at + length), this.#filled);
      }
      this.#filled += length;
      at += length;
      if (this.#filled === this.#block.length) {
        this.#flush();
      }
    }
  }

  /** Ends the blob and closes the file. */
  finish(): BlobResult {
    if (this.#filled > 0) {
      this.#flush();
    }
    while (this.#waiting.length > 0) {
      this.#collect();
    }
    this.#emit(this.#frame.end());
    this.close();
    const digest = `sha256:${this.#digest.digest('hex')}`;
    return {
      diffId: this.#compressor.isIdentity ? digest : `sha256:${this.#diffId.digest('hex')}`,
      digest,
      size: this.#size,
      tarSize: this.#tarSize,
    };
  }

  /** Closes the file without finishing it. */
  close(): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    const block = this.#block.subarray(0, this.#filled);
    if (!this.#compressor.isIdentity) {
      this.#diffId.update(block);
    }
    this.#frame.update(block);
    this.#tarSize += block.length;
    if (this.#board?.hasHelpers) {
      this.#share(this.#board, block);
    } else {
      while (this.#waiting.length > 0) {
        this.#collect();
      }
      this.#emit(this.#compressor.compress(block, this.#before));
    }
    const { window } = this.#compressor;
    // A copy, not slice(): on a Buffer that is a view of what is overwritten next.
    if (window > 0) {
      this.#before = new Uint8Array(block.subarray(-window));
    }
    this.#filled = 0;
  }

  /** Puts a block on the board, or compresses it where others keep the board full. */
  #share(board: SharedWorkQueue, block: Uint8Array): void {
    let slot = board.submit(block, this.#before);
    while (slot === undefined && this.#waiting.length > 0) {
      this.#collect();
      slot = board.submit(block, this.#before);
    }
    if (slot !== undefined) {
      this.#waiting.push(slot);
    } else {
      this.#emit(this.#compressor.compress(block, this.#before));
    }
  }

  #collect(): void {
    this.#emit((this.#board as SharedWorkQueue).awaitFirst(this.#waiting));
    this.#waiting.shift();
  }

  #emit(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#size += bytes.length;
    writeFully(this.#fd, bytes);
  }
}
