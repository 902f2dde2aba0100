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
  #space = Number.POSITIVE_INFINITY;
  #advice = '';
  #size = 0;

  /** @param limit the most bytes for everything except the content of files */
  constructor(chunks: AsyncIterable<Uint8Array>, limit: number) {
    this.#chunks = chunks;
    this.#limit = limit;
  }

  /**
   * Sets the most bytes of the tar, because it is written to a disk with so many bytes free.
   * @param advice the end of the error, which says what to do
   */
  limitTo(space: number, advice: string): void {
    this.#space = space;
    this.#advice = advice;
  }

  /**
   * Allows the content of an entry, of the size that its header states. Throws `LIMIT` at once if
   * that is more than the disk takes.
   */
  allowContent(size: number): void {
    this.#limit += size;
    this.#checkSpace(size);
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
      this.#checkSpace(0);
      yield chunk;
    }
  }

  /** @param size of what is still to come */
  #checkSpace(size: number): void {
    if (this.#size + size > this.#space) {
      const rule = `expands to more than the ${this.#space} bytes free on disk`;
      throw new OstrataError('LIMIT', `${rule}; ${this.#advice}`);
    }
  }
}
