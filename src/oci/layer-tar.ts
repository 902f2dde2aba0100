/** The uncompressed tar of a layer on its way to a reader, which may not be endless. */
import { OstrataError } from '../errors.js';

/**
 * Gives the chunks of a tar and throws `LIMIT` once there are more bytes than `limit` and the sizes
 * in the tar's headers allow. A sparse file compresses as well as a bomb does: only the headers tell
 * them apart.
 */
export class LayerTar implements AsyncIterable<Uint8Array> {
  readonly #chunks: AsyncIterable<Uint8Array>;
  /** In bytes; grows with the content that headers state. */
  #limit: number;
  #size = 0;

  /** @param limit the size of everything but the content of files, in bytes */
  constructor(chunks: AsyncIterable<Uint8Array>, limit: number) {
    this.#chunks = chunks;
    this.#limit = limit;
  }

  /** Allows the content of an entry, of the size that its header states. */
  allowContent(size: number): void {
    this.#limit += size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#chunks) {
      this.#size += chunk.length;
      if (this.#size > this.#limit) {
        throw new OstrataError(
          'LIMIT',
          `expands to more than ${this.#limit} bytes, ` +
            'which are enough for the headers of its tar and the content that they state',
        );
      }
      yield chunk;
    }
  }
}
