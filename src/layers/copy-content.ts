/** Writes the content of a file into the tar of a layer. */
import type { ByteStream } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';

/** Takes the bytes of a tar in order; they are valid until the call returns. */
export type Sink = (bytes: Uint8Array) => void;

/**
 * Hands `content` to `sink`. Throws `CORRUPT` unless it has exactly `size` bytes.
 * @param name what the file is called in the message
 */
export async function copyContent(
  content: ByteStream,
  size: number,
  sink: Sink,
  name: string,
): Promise<void> {
  let length = 0;
  const write = (chunk: Uint8Array) => {
    sink(chunk);
    length += chunk.length;
  };
  // Most content comes synchronously: a promise for each chunk would cost more than the chunk.
  if (Symbol.iterator in content) {
    for (const chunk of content) {
      write(chunk);
    }
  } else {
    for await (const chunk of content) {
      write(chunk);
    }
  }
  if (length !== size) {
    throw new OstrataError('CORRUPT', `${name}: ${length} bytes instead of ${size}`);
  }
}
