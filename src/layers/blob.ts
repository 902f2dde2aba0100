import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { COMPRESSION_BLOCK, type Compression, createCompressor } from './compress.js';

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
  readonly #block = Buffer.allocUnsafeSlow(COMPRESSION_BLOCK);
  #filled = 0;
  readonly #compressor;
  readonly #diffId = createHash('sha256');
  readonly #digest = createHash('sha256');
  #size = 0;
  #tarSize = 0;

  /** Creates `path`, which must not exist. */
  constructor(path: string, compression: Compression) {
    this.#fd = openSync(path, 'wx', 0o644);
    this.#compressor = createCompressor(compression);
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(bytes.length - at, COMPRESSION_BLOCK - this.#filled);
      this.#block.set(bytes.subarray(at, at + length), this.#filled);
      this.#filled += length;
      at += length;
      if (this.#filled === COMPRESSION_BLOCK) this.#flush();
    }
  }

  /** Ends the blob and closes the file. */
  finish(): BlobResult {
    if (this.#filled > 0) this.#flush();
    this.#emit(this.#compressor.finish());
    this.close();
    return {
      diffId: `sha256:${this.#diffId.digest('hex')}`,
      digest: `sha256:${this.#digest.digest('hex')}`,
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
    this.#diffId.update(block);
    this.#tarSize += block.length;
    this.#emit(this.#compressor.block(block));
    this.#filled = 0;
  }

  #emit(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.#digest.update(chunk);
      this.#size += chunk.length;
      for (let at = 0; at < chunk.length; ) at += writeSync(this.#fd, chunk, at);
    }
  }
}
