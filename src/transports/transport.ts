import type { Descriptor, Manifest } from '../oci/types.js';
import type { ByteStream } from '../tree/tree.js';

/** An image that is read. Nothing is verified yet but the digests of manifest and config. */
export interface ImageReader {
  /** As in messages, e.g. `oci:dir:tag`. */
  readonly name: string;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  /** The config blob; its digest is checked. */
  config(): Promise<Uint8Array>;
  /** Streams a blob as it is stored; `NOT_FOUND` if it is not there. The caller checks its digest. */
  blob(descriptor: Descriptor): ByteStream;
  /** The file that holds a blob, where one does: it can be linked instead of copied. */
  blobFile(descriptor: Descriptor): string | undefined;
}

/** An image that is written. Nothing shows at the destination until `commit` succeeds, and nothing is left without it. */
export interface ImageWriter {
  /** An empty private folder on the destination's file system for blobs that are being written. */
  readonly stagingDirectory: string;
  /** Takes over a finished file as the blob of `descriptor`, whose digest the caller has computed. */
  adopt(file: string, descriptor: Descriptor): Promise<void>;
  /** Takes over a blob of another image: kept, linked or copied; a copy is verified. `NOT_FOUND` if it is nowhere. */
  reuse(descriptor: Descriptor, from: ImageReader): Promise<void>;
  /** Makes the image visible: its config and its manifest. The last step. */
  commit(image: {
    readonly config: Uint8Array;
    readonly manifest: Uint8Array;
    readonly platform: Descriptor['platform'];
  }): Promise<void>;
  /** Removes what was not committed. Safe to call at any time, any number of times. */
  discard(): Promise<void>;
}

/** Where images come from and go to. */
export interface Transport {
  /** The part of an image reference before the first colon. */
  readonly name: string;
  /** Opens the image `rest` names (the part after the colon). `AMBIGUOUS` without a tag where several images are. */
  read(rest: string): Promise<ImageReader>;
  /** Prepares to write `rest`; fails early where that is impossible. */
  write(rest: string): Promise<ImageWriter>;
}
