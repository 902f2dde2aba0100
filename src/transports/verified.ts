/** Checks blobs whose source does not check them itself while they are read. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { ByteStream } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { Descriptor } from '../oci/types.js';

/**
 * Passes on the chunks of a blob. Throws `CORRUPT` as soon as there are more bytes than in its
 * descriptor, and after the last chunk unless the blob has the size and digest that the
 * descriptor states.
 */
export async function* verified(
  stream: ByteStream,
  { digest, size }: Descriptor,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    length += chunk.length;
    if (length > size) {
      throw new OstrataError('CORRUPT', `got more than the ${size} bytes of ${digest}`);
    }
    yield chunk;
    // Files are read synchronously: without this, uploads and signals would wait for the end.
    await setImmediate();
  }

  const computed = `sha256:${hash.digest('hex')}`;
  if (length !== size || computed !== digest) {
    throw new OstrataError(
      'CORRUPT',
      `got ${length} bytes with the digest ${computed}, expected ${size} bytes with ${digest}`,
    );
  }
}

/** Reads a blob to its end. Throws the same errors as {@link verified}. */
export async function verifyBlob(stream: ByteStream, descriptor: Descriptor): Promise<void> {
  for await (const _ of verified(stream, descriptor)) {
  }
}
