/**
 * Writes the blob of a layer to a file, synchronously and with no more memory than a few blocks.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { release } from '../system/memory.js';
import { writeFully } from '../system/write-fully.js';
import { type BlockCompressor, InlineBlockCompressor } from './block-compressor.js';
import type { Compressor, Frame } from './compress.js';

/** Digests and sizes of a written layer blob. */
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

/** Collects bytes into blocks; each block is hashed, compressed and written once. */
export class BlobWriter {
  /** Undefined if the blob is only hashed. */
  readonly #fd: number | undefined;
  readonly #compressor: Compressor;
  readonly #blocks: BlockCompressor;
  readonly #frame: Frame;
  readonly #block: Buffer;
  /** Bytes of `#block` that are in use. */
  #filled = 0;
  /** The end of the previous block. */
  #window = new Uint8Array();
  readonly #diffId = createHash('sha256');
  readonly #digest = createHash('sha256');
  #size = 0;
  #tarSize = 0;

  /**
   * Creates the file at `path`; throws `EEXIST` if there is one.
   * @param path undefined if the blob is only hashed
   */
  constructor(
    path: string | undefined,
    compressor: Compressor,
    blocks: BlockCompressor = new InlineBlockCompressor(compressor),
  ) {
    this.#fd = path === undefined ? undefined : openSync(path, 'wx', 0o644);
    this.#compressor = compressor;
    this.#blocks = blocks;
    this.#frame = compressor.frame();
    this.#block = Buffer.allocUnsafeSlow(compressor.blockSize);
    this.#append(this.#frame.start);
  }

  /**
   * Returns the free tail of the current block, at least one byte. Bytes that are placed there are
   * not copied by {@link write}.
   */
  freeSpace(): Uint8Array {
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

  /** Writes what is left and closes the file, also if that fails. */
  finish(): BlobResult {
    try {
      if (this.#filled > 0) {
        this.#flush();
      }
      this.#appendAll(this.#blocks.finish());
      this.#append(this.#frame.end());
    } finally {
      this.close();
    }

    const digest = `sha256:${this.#digest.digest('hex')}`;
    return {
      diffId: this.#compressor.isIdentity ? digest : `sha256:${this.#diffId.digest('hex')}`,
      digest,
      size: this.#size,
      tarSize: this.#tarSize,
    };
  }

  /** Closes the file without finishing it; not to be called again, nor after {@link finish}. */
  close(): void {
    release(this.#block);
    if (this.#fd !== undefined) {
      closeSync(this.#fd);
    }
  }

  #flush(): void {
    const block = this.#block.subarray(0, this.#filled);
    if (!this.#compressor.isIdentity) {
      this.#diffId.update(block);
    }
    this.#frame.update(block);
    this.#tarSize += block.length;
    this.#appendAll(this.#blocks.compress(block, this.#window));

    const { windowSize } = this.#compressor;
    if (windowSize > 0) {
      // A copy, not slice(): on a Buffer that is a view of bytes that are overwritten next.
      this.#window = new Uint8Array(block.subarray(-windowSize));
    }
    this.#filled = 0;
  }

  #appendAll(compressedBlocks: Iterable<Uint8Array>): void {
    for (const compressed of compressedBlocks) {
      this.#append(compressed);
    }
  }

  #append(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#size += bytes.length;
    if (this.#fd !== undefined) {
      writeFully(this.#fd, bytes);
    }
  }
}
