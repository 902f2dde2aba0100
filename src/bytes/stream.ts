/** Bytes in order; small ones arrive synchronously. A chunk is valid until the next is asked for. Iterating may throw, e.g. `CORRUPT`. */
export type ByteStream = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** All of `stream` in one array of `size` bytes, which it must have. */
export async function collect(stream: ByteStream, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of stream) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Gives memory to read into next, at least one byte. */
export type BufferSource = () => Uint8Array;
