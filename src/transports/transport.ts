import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import type { PlatformChoice } from '../oci/platform.js';
import type { Descriptor } from '../oci/types.js';
import type { ImageReference } from './registry/reference.js';

export type { ImageReader } from '../oci/image.js';

/** An image that is written. Nothing shows at the destination until `commit` succeeds, and nothing is left without it. */
export interface ImageWriter {
  /** An empty private folder on the destination's file system for blobs that are being written. */
  readonly stagingDirectory: string;
  /**
   * Takes over a finished file as the blob of `descriptor`, whose digest the caller has computed. Like `reuse` it may
   * return while the blob is still on its way; a failure is then one of what is called next, of `commit` at the latest.
   */
  addBlob(file: string, descriptor: Descriptor): Promise<void>;
  /** Takes over a blob of another image: kept, linked or copied; a copy is verified. `NOT_FOUND` if it is nowhere. */
  mountBlob(descriptor: Descriptor, from: ImageReader): Promise<void>;
  /** Makes the image visible: its config and its manifest. The last step. */
  commit(image: {
    readonly config: Uint8Array;
    readonly manifest: Uint8Array;
    readonly platform: Descriptor['platform'];
  }): Promise<void>;
  /** Removes what was not committed. Safe to call at any time, any number of times. */
  discard(): Promise<void>;
}

/** How images are reached; what a transport has no use for, it ignores. */
export interface TransportOptions {
  /** File of credentials (containers-auth.json(5)) instead of the usual ones. */
  readonly authfile?: string | undefined;
  /** Instead of a file; sent to the registry of the reference and to its token server only. */
  readonly credentials?: Credentials | undefined;
  /** False: certificates are not verified, and plain HTTP is tried where there is no HTTPS. */
  readonly tlsVerify?: boolean | undefined;
  /** Folder of CA certificates (*.crt) and client certificates (*.cert with *.key) instead of the usual ones. */
  readonly certDirectory?: string | undefined;
  /** Which image of an index is meant; by default linux and the architecture of this machine. */
  readonly platform?: PlatformChoice | undefined;
  /** How often a request, or a blob that gets no further, is tried again. */
  readonly retries?: number | undefined;
  /** Milliseconds without a byte getting through that end a request. */
  readonly stallTimeout?: number | undefined;
  readonly log?: Logger | undefined;
  /** Ends all that goes on with `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
  /** Counts what goes over the network. */
  readonly traffic?: Traffic | undefined;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Counted while it happens. Bytes are those of blobs, as sent or received, again or in vain too. */
export interface Traffic {
  requests: number;
  blobBytesReceived: number;
  blobBytesSent: number;
}

/** Where images come from and go to. */
export interface Transport {
  /** The part of an image reference before the first colon. */
  readonly name: string;
  /** The form of a reference, for messages. */
  readonly form: string;
  /** Checks the form of `rest`, the part after the colon, without touching anything; `USAGE` where it is none. */
  check(rest: string): void;
  /** What `rest` is called in a registry; undefined for transports of another kind. */
  reference?(rest: string): ImageReference;
  /** Opens the image `rest` names. `AMBIGUOUS` without a tag where several images are. */
  read(rest: string, options: TransportOptions): Promise<ImageReader>;
  /** Prepares to write `rest`; fails early where that is impossible. */
  write(rest: string, options: TransportOptions): Promise<ImageWriter>;
}
