/** The types by which one part of the program hands bytes to another. */

/**
 * Bytes in order. Small contents come as a synchronous iterable, which costs no promises. A chunk
 * is valid until the next one is asked for. Iterating may throw, e.g. `CORRUPT`.
 */
export type ByteStream = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Takes the content of one file. */
export interface ContentSink {
  /** `bytes` are valid until the call returns. */
  write(bytes: Uint8Array): void;
  /** The content is complete. */
  finish(): void;
}

/** Returns the buffer that the next bytes are read into. It has room for at least one byte. */
export type BufferSource = () => Uint8Array;

/**
 * Reads `stream`, which has `size` bytes, into one array. Throws a RangeError if it has more; if it
 * has fewer, the end of the array is zeros.
 */
export async function collect(stream: ByteStream, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of stream) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Reads from `input` until there are `size` bytes, and returns what was read: it may be more, or
 * fewer if the stream ends.
 */
export async function readAtLeast(input: AsyncIterator<Uint8Array>, size: number): Promise<Buffer> {
  let start = Buffer.alloc(0);
  while (start.length < size) {
    const { done, value } = await input.next();
    if (done) {
      break;
    }
    start = Buffer.concat([start, value]);
  }
  return start;
}
