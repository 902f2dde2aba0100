/**
 * Bounds the uncompressed tar of a layer while it is read, since a small blob can expand without
 * end.
 */
import { OstrataError } from '../errors.js';

/**
 * Passes on the chunks of a tar. Throws `LIMIT` once there are more bytes than `limit` plus the
 * sizes of files that the tar's own headers have stated. A large file of zeros compresses as well
 * as a bomb does, and only its header tells them apart.
 */
export class LayerTar implements AsyncIterable<Uint8Array> {
  readonly #chunks: AsyncIterable<Uint8Array>;
  /** In bytes; grows with the content that headers state. */
  #limit: number;
  #size = 0;

  /** @param limit the most bytes for everything except the content of files */
  constructor(chunks: AsyncIterable<Uint8Array>, limit: number) {
    this.#chunks = chunks;
    this.#limit = limit;
  }

  /** Allows the content of an entry, of the size that its header states. */
  allowContent(size: number): void {
    this.#limit += size;
  }

  /** Allows so many bytes more because more of the blob has been read. */
  allowExpansion(size: number): void {
    this.#limit += size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#chunks) {
      this.#size += chunk.length;
      if (this.#size > this.#limit) {
        throw new OstrataError(
          'LIMIT',
          `expands to more than ${this.#limit} bytes, the most for its size and its tar headers`,
        );
      }
      yield chunk;
    }
  }
}
