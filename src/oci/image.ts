import type { ByteStream } from '../bytes/stream.js';
import type { Descriptor, Manifest } from './types.js';

/** An image that is read. Nothing is verified yet but the digests of manifest and config. */
export interface ImageReader {
  /** As in messages, e.g. `oci:dir:tag`. */
  readonly name: string;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  /** The config blob; its digest is checked. */
  config(): Promise<Uint8Array>;
  /** Streams a blob as it is stored; `NOT_FOUND` if it is not there. The caller checks its digest, unless {@link isVerifying}. */
  blob(descriptor: Descriptor): ByteStream;
  /** The stream of a blob ends with `CORRUPT` unless it has the size and digest of its descriptor. */
  readonly isVerifying?: true | undefined;
  /** The file that holds a blob, where one does: it can be linked instead of copied. */
  blobFile(descriptor: Descriptor): string | undefined;
  /** Removes what was fetched for reading; call it when done. Without it the end of the process does. */
  close?(): Promise<void>;
}
