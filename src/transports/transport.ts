import type { ImageReader } from '../oci/image.js';
import type { Descriptor } from '../oci/types.js';

export type { ImageReader } from '../oci/image.js';

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
