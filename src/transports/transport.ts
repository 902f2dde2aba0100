/** The contract of a transport: one way to read images from somewhere and to write them there. */
import type { Writable } from 'node:stream';
import type { Logger } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import type { PlatformChoice } from '../oci/platform.js';
import type { Descriptor, ImageIndex, Manifest } from '../oci/types.js';
import type { ImageReference } from './registry/reference.js';

export type { ImageReader } from '../oci/image.js';

/** Where images come from and go to. */
export interface Transport {
  /** The part of an image reference before the first colon. */
  readonly name: string;
  /** The form of an image reference, for messages and help, e.g. `oci:DIR[:TAG]`. */
  readonly form: string;
  /** Whether layers are stored uncompressed, however they were written. */
  readonly storesUncompressed?: boolean | undefined;
  /**
   * Checks the form of a location (the part of an image reference after the first colon) without
   * reading anything. Throws `USAGE` if it is wrong.
   */
  check(location: string): void;
  /** Returns the name of the image in its registry. Only transports to registries have this. */
  reference?(location: string): ImageReference;
  /**
   * Opens the image at `location`. Throws `NOT_FOUND` if there is none, and `AMBIGUOUS` if the
   * location has no tag and there are several.
   */
  read(location: string, options: TransportOptions): Promise<ImageReader>;
  /**
   * Returns the index at `location`; undefined if one image is there. Throws what `read` throws.
   * Only transports whose locations can hold an index have this.
   */
  readIndex?(location: string, options: TransportOptions): Promise<ImageIndex | undefined>;
  /** Prepares to write an image to `location`; fails early if that is impossible. */
  write(location: string, options: TransportOptions): Promise<ImageWriter>;
  /** Only transports whose locations can hold artifacts beside images have this. */
  readonly artifacts?: ArtifactTransport | undefined;
}

/** Artifacts that have no name, because they are found by the image that they refer to. */
export interface ArtifactTransport {
  /**
   * Throws `USAGE` if other programs would not find the image at `location` any more once there are
   * artifacts beside it.
   */
  check(location: string): void;
  /**
   * Returns the location of what has another name beside the image at `location`: a tag or, in a
   * registry, a digest.
   */
  withName(location: string, name: string): string;
  /** Prepares to write an artifact beside the image at `location`. */
  write(location: string, options: TransportOptions): Promise<ImageWriter>;
  /** Opens all artifacts of the repository of an image. Only registries have this. */
  open?(
    location: string,
    options: TransportOptions,
    rights: ArtifactRights,
  ): Promise<ArtifactRepository>;
}

/** What has blobs that a registry may mount into another repository. */
export type BlobHolder = Pick<ImageReader, 'mountableFrom'>;

/** What a user of an {@link ArtifactRepository} may have to be allowed to do. */
export type ArtifactRights = 'pull' | 'pull,push' | 'pull,push,delete';

/** An artifact that has a tag. */
export interface TaggedArtifact {
  readonly tag: string;
  /** Digest of its manifest. */
  readonly digest: string;
  readonly manifest: Manifest;
}

/** Artifacts in a repository. */
export interface ArtifactRepository extends Required<BlobHolder> {
  /** Returns all tags, in the order of the registry. */
  tags(): Promise<readonly string[]>;
  /**
   * Opens the artifact with a tag; undefined if there is none. Its blobs are verified. Throws
   * `CORRUPT`, `LIMIT` or `UNSUPPORTED` for what is no artifact of that type.
   */
  find(tag: string, artifactType: string): Promise<ImageReader | undefined>;
  /**
   * Adds an artifact of one blob and gives it a tag last. Only what the repository lacks is sent,
   * so any number of processes may add the same artifact at the same time.
   * @param file the blob
   */
  add(tag: string, artifact: ArtifactDocuments, file: string): Promise<void>;
  /** Lists the artifacts of a type that have a tag which begins with `prefix`. */
  tagged(prefix: string, artifactType: string): Promise<readonly TaggedArtifact[]>;
  /**
   * Deletes manifests with all their tags, unless they are gone. Throws `UNSUPPORTED` if the
   * registry deletes nothing.
   */
  removeManifests(digests: readonly string[]): Promise<void>;
  /**
   * Returns the digests of all images that have a tag, of those in an index with a tag, and of
   * those whose list of artifacts has one.
   */
  images(): Promise<readonly string[]>;
  /** Lists the artifacts of a type that refer to an image; nobody has verified what it states. */
  referrers(digest: string, artifactType: string): Promise<readonly Descriptor[]>;
  /**
   * Deletes artifacts that refer to the image `subject`, unless they are gone. Throws `UNSUPPORTED`
   * if the registry deletes nothing.
   */
  remove(subject: string, artifacts: readonly string[]): Promise<void>;
  close(): void;
}

/**
 * An image that is being written. It becomes visible at its destination when `commit` succeeds;
 * until then, and after `discard`, the destination is as it was.
 */
export interface ImageWriter {
  /** An empty private directory for blobs, on the file system of the destination if it has one. */
  readonly stagingDirectory: string;
  /**
   * Adds a blob. The writer takes over `file`, which must match `descriptor`. Like `mountBlob`, it
   * may return while the blob is still being uploaded. A failure is then thrown by one of the next
   * calls, at the latest by `commit`.
   * @param name what people call the blob while it is uploaded
   */
  addBlob(file: string, descriptor: Descriptor, name?: string): Promise<void>;
  /**
   * Adds a blob of another image by mounting, linking or copying it. Throws `NOT_FOUND` if the
   * other image lacks the blob, and `CORRUPT` if the blob does not have the size and digest of
   * `descriptor`. After that error the caller can still add the right blob by `addBlob`.
   * @param name what people call the blob while it is uploaded
   */
  mountBlob(descriptor: Descriptor, from: ImageReader, name?: string): Promise<void>;
  /**
   * Adds a blob that passes through no other machine than the registry's: it is in the repository
   * already, or the registry mounts it from another one. Returns false if that is impossible. Only
   * writers to registries have this.
   */
  adoptBlob?(descriptor: Descriptor, from: BlobHolder): Promise<boolean>;
  /** Writes config and manifest and thereby makes the image visible. The last step. */
  commit(image: FinishedImage): Promise<void>;
  /**
   * Writes the images of an index and thereby makes them visible: the last step instead of
   * `commit`. Only destinations that can hold an index have this.
   */
  commitIndex?(finished: FinishedIndex): Promise<void>;
  /** Removes everything that was not committed. May be called at any time, any number of times. */
  discard(): Promise<void>;
}

/** The documents of an artifact with one blob. */
export interface ArtifactDocuments {
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  /** The only layer. */
  readonly blob: Descriptor;
}

/** The documents that complete an image whose blobs have been added. */
export interface FinishedImage {
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  /** Recorded beside the manifest in the index of an OCI image layout. */
  readonly platform: Descriptor['platform'];
}

/** Images for several platforms whose blobs have been added, and the index that lists them. */
export interface FinishedIndex {
  readonly images: readonly FinishedImage[];
  readonly index: Uint8Array;
}

/** How images are reached. A transport ignores the options that do not apply to it. */
export interface TransportOptions {
  /** Path of a credentials file (containers-auth.json(5)) instead of the default ones. */
  readonly authfile?: string | undefined;
  /**
   * Credentials to use instead of a file. They are sent only to the registry of the reference and
   * its token server.
   */
  readonly credentials?: Credentials | undefined;
  /**
   * If false, certificates are not verified, and plain HTTP is used if the registry has no HTTPS.
   * If undefined, plain HTTP is used for a registry on this machine that speaks nothing else.
   */
  readonly tlsVerify?: boolean | undefined;
  /**
   * Directory of CA certificates (*.crt) and client certificates (*.cert with *.key) instead of the
   * default ones.
   */
  readonly certDirectory?: string | undefined;
  /**
   * The type of the artifact to read instead of an image; only registries and OCI image layouts
   * have artifacts.
   */
  readonly artifactType?: string | undefined;
  /** The image to choose from an index; by default for linux and this machine's architecture. */
  readonly platform?: PlatformChoice | undefined;
  /** The image of an index to read, whatever its platform; `readIndex` returns its descriptor. */
  readonly manifest?: Descriptor | undefined;
  /**
   * Whether layers that are stored uncompressed are read so. By default they are compressed, since
   * they are to be sent to clients.
   */
  readonly keepsUncompressed?: boolean | undefined;
  /** How often a request is repeated, or a blob whose transfer makes no progress. */
  readonly retries?: number | undefined;
  /** Milliseconds without any transferred byte after which a request is given up. */
  readonly stallTimeoutMs?: number | undefined;
  /** Milliseconds without any transferred byte after which a warning is logged; default 10 s. */
  readonly noticeMs?: number | undefined;
  /** The parent of temporary files as large as a layer; by default TMPDIR or /var/tmp. */
  readonly spool?: string | undefined;
  /** Where an archive without a name goes. */
  readonly stdout?: Writable | undefined;
  readonly log?: Logger | undefined;
  /** Ends all transfers with `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
  /** Counts what goes over the network. */
  readonly traffic?: Traffic | undefined;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Counters that are raised during the transfer. Bytes of blobs are counted each time they are sent
 * or received, even if it is a repetition or the bytes turn out to be useless.
 */
export interface Traffic {
  requests: number;
  blobBytesReceived: number;
  blobBytesSent: number;
}
