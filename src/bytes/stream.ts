/** The shapes in which bytes are handed from one part of the program to another. */

/**
 * Bytes in order; small contents arrive synchronously. A chunk is valid until the next one is asked
 * for. Iterating may throw, e.g. `CORRUPT`.
 */
export type ByteStream = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Takes the content of one file. */
export interface ContentSink {
  /** `bytes` are valid until the call returns. */
  write(bytes: Uint8Array): void;
  /** The content is complete. */
  finish(): void;
}

/** Returns memory to read into next, at least one byte. */
export type BufferSource = () => Uint8Array;

/** Reads `stream`, which has `size` bytes, into one array. Throws a RangeError if it has more. */
export async function collect(stream: ByteStream, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of stream) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
