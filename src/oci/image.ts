/** An image as it is read, from wherever it is. */
import type { ByteStream } from '../bytes/stream.js';
import type { Descriptor, Manifest } from './types.js';

/** An image that can be read. Of its content, only manifest and config have been verified. */
export interface ImageReader {
  /** The image reference, for messages, e.g. `oci:dir:tag`. */
  readonly name: string;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  /** Returns the config blob, whose digest has been checked. */
  config(): Promise<Uint8Array>;
  /**
   * Streams a blob as it is stored; throws `NOT_FOUND` if the image lacks it. The caller must check
   * the digest unless {@link isVerifying} is set.
   */
  blob(descriptor: Descriptor): ByteStream;
  /**
   * Set if the stream of a blob throws `CORRUPT` unless it has the descriptor's size and digest.
   */
  readonly isVerifying?: true | undefined;
  /** Returns the file that contains a blob and can be hard-linked; undefined if there is none. */
  blobFile(descriptor: Descriptor): string | undefined;
  /**
   * Returns the repository of the registry `host` from which blobs of this image can be mounted
   * into other repositories; undefined if the image is not in that registry.
   */
  mountableFrom?(host: string): string | undefined;
  /**
   * Lists the artifacts of a type that refer to this image, with their annotations, which nobody
   * has verified. Images in registries and OCI image layouts have this.
   */
  referrers?(artifactType: string): Promise<readonly Descriptor[]>;
  /**
   * Removes the temporary files of this reader. If it is never called, they are removed when the
   * process ends.
   */
  close?(): Promise<void>;
}
