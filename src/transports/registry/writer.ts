/**
 * Writes an image to a registry:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
 */
import { rm } from 'node:fs/promises';
import type { ByteStream } from '../../bytes/stream.js';
import { inContextAsync, messageOf, must, OstrataError } from '../../errors.js';
import { type Logger, silentLogger, startWork, type Work } from '../../log.js';
import { sha256Digest } from '../../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { type Descriptor, type Manifest, parseAnyManifest } from '../../oci/types.js';
import { readChunks } from '../../system/file-chunks.js';
import {
  largeFilesParent,
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from '../../system/temporary-directory.js';
import { Semaphore } from '../semaphore.js';
import type {
  BlobHolder,
  FinishedImage,
  FinishedIndex,
  ImageReader,
  ImageWriter,
  Traffic,
  TransportOptions,
} from '../transport.js';
import { verifyBlob } from '../verified.js';
import { RegistryClient } from './client.js';
import { fetchTagged } from './manifest.js';
import { putDocument } from './put-document.js';
import type { ImageReference } from './reference.js';
import { referrersTag, withReferrer } from './referrers.js';
import {
  type BlobDescriptor,
  type BlobSource,
  cancelUpload,
  hasBlob,
  mountBlob,
  startUpload,
  Upload,
} from './upload.js';

/** Blobs that are uploaded at the same time, as many as by skopeo and podman. */
const MAX_UPLOADS = 6;

/** Prepares to push an image. Fails early if the registry does not let us push. */
export async function createRegistryImage(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  const { tag } = reference;
  if (tag === undefined) {
    throw new OstrataError('USAGE', `${name}: an image is pushed to a tag, not a digest`);
  }
  return prepare(reference, tag, name, options);
}

/** Prepares to push an artifact without a tag into the repository of an image. */
export async function createRegistryArtifact(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  return prepare(reference, undefined, name, options);
}

async function prepare(
  reference: ImageReference,
  tag: string | undefined,
  name: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  const failure = new AbortController();
  const signal = options.signal
    ? AbortSignal.any([options.signal, failure.signal])
    : failure.signal;

  return inContextAsync(`preparing ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull,push', { ...options, signal });
    const { log = silentLogger, traffic, spool = largeFilesParent() } = options;
    return client.closedOnError(async () => {
      const session = await startUpload(client);
      const staging = makeTemporaryDirectory('ostrata-', spool);
      const connection = { client, session, failure, signal, traffic };
      return new RegistryWriter({ ...connection, name, tag, staging, log });
    });
  });
}

interface RegistryWriterSettings {
  /** The image reference, for messages. */
  readonly name: string;
  /** Undefined for an artifact that has no name. */
  readonly tag: string | undefined;
  readonly client: RegistryClient;
  /** The upload session that proved our right to push. The first blob uses it. */
  readonly session: URL;
  readonly staging: TemporaryDirectory;
  /** Aborted when one blob fails, to end the uploads of all others. */
  readonly failure: AbortController;
  /** Fires with `failure`, or when the caller cancels. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly traffic: Traffic | undefined;
}

/** What people call a blob, and the other image that may have it. */
interface BlobOrigin {
  readonly name: string;
  readonly from?: ImageReader | undefined;
}

class RegistryWriter implements Required<ImageWriter> {
  readonly stagingDirectory: string;
  readonly #settings: RegistryWriterSettings;
  readonly #client: RegistryClient;
  readonly #uploads = new Semaphore(MAX_UPLOADS);
  /** Blobs by digest. The error of a promise that rejects is reported by whoever awaits it. */
  readonly #blobs = new Map<string, Promise<void>>();
  #unusedSession: URL | undefined;
  /** Reports how many bytes of blobs are uploaded; undefined before the first one. */
  #work: Work | undefined;

  constructor(settings: RegistryWriterSettings) {
    this.#settings = settings;
    this.#client = settings.client;
    this.stagingDirectory = settings.staging.path;
    this.#unusedSession = settings.session;
  }

  /** Returns while the blob is still being uploaded. The file is removed afterwards. */
  async addBlob(file: string, descriptor: Descriptor, name = descriptor.digest): Promise<void> {
    if (this.#blobs.has(descriptor.digest)) {
      await rm(file, { force: true }); // An image for another platform has the same layer.
      return;
    }
    const stream = (start: number) => readChunks(file, { offset: start, followSymlink: true });
    this.#start(descriptor, async () => {
      await this.#provide({ descriptor, stream }, { name });
      await rm(file, { force: true });
    });
  }

  /**
   * Returns while the blob is still being uploaded. A blob of the same registry is mounted. A blob
   * whose source does not check it is read first: the registry would refuse a damaged one only
   * after this method has returned.
   */
  async mountBlob(
    descriptor: Descriptor,
    from: ImageReader,
    name = descriptor.digest,
  ): Promise<void> {
    if (!from.isVerifying) {
      await inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, () =>
        verifyBlob(from.blob(descriptor), descriptor),
      );
    }
    const stream = (start: number) => skipBytes(from.blob(descriptor), start);
    this.#start(descriptor, () =>
      inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, () =>
        this.#provide({ descriptor, stream }, { name, from }),
      ),
    );
  }

  async adoptBlob(descriptor: Descriptor, from: BlobHolder): Promise<boolean> {
    const { digest } = descriptor;
    if (this.#blobs.has(digest)) {
      return true;
    }
    const repository = this.#mountableFrom(from);
    const isThere =
      (await hasBlob(this.#client, descriptor)) ||
      (repository !== undefined && (await this.#mount(digest, repository)));
    if (isThere) {
      this.#blobs.set(digest, Promise.resolve());
    }
    return isThere;
  }

  async commit(image: FinishedImage): Promise<void> {
    await this.#commit([image], () => this.#putImage(image, this.#settings.tag));
  }

  async commitIndex({ images, index }: FinishedIndex): Promise<void> {
    await this.#commit(images, async () => {
      for (const image of images) {
        await this.#putImage(image, undefined);
      }
      const tag = must(this.#settings.tag, 'the tag');
      await putDocument(this.#client, index, OCI_INDEX, tag);
    });
  }

  /** @param putManifests uploads what has the tag last, because it makes the image visible */
  async #commit(
    images: readonly FinishedImage[],
    putManifests: () => Promise<void>,
  ): Promise<void> {
    await inContextAsync(`writing ${this.#settings.name}`, async () => {
      for (const { config } of images) {
        this.#startConfig(config);
      }
      this.#work?.settleTotal();
      await Promise.all(this.#blobs.values());
      this.#work?.end();
      await putManifests();
    });
    await this.discard();
  }

  async discard(): Promise<void> {
    if (this.#unusedSession) {
      await cancelUpload(this.#client, this.#unusedSession);
    }
    this.#unusedSession = undefined;
    this.#settings.failure.abort();
    await Promise.allSettled(this.#blobs.values());
    this.#client.close();
    this.#settings.staging.remove();
  }

  #startConfig(config: Uint8Array): void {
    const descriptor = { digest: sha256Digest(config), size: config.length };
    const stream = (start: number) => [config.subarray(start)];
    this.#start(descriptor, () => this.#provide({ descriptor, stream }, { name: 'config' }));
  }

  /** @param tag undefined if the image is only known by its digest */
  async #putImage({ manifest }: FinishedImage, tag: string | undefined): Promise<void> {
    const parsed = parseAnyManifest(manifest);
    const { mediaType = OCI_MANIFEST, subject } = parsed;
    const name = tag ?? sha256Digest(manifest);
    const headers = await putDocument(this.#client, manifest, mediaType, name);
    // A registry that keeps the list of referrers itself says so.
    if (subject !== undefined && headers['oci-subject'] === undefined) {
      await this.#listReferrer(subject, parsed, manifest);
    }
  }

  async #listReferrer(subject: Descriptor, parsed: Manifest, manifest: Uint8Array): Promise<void> {
    const tag = referrersTag(subject.digest);
    const list = await fetchTagged(this.#client, tag);
    const longer = withReferrer(list, parsed, manifest);
    await putDocument(this.#client, longer, OCI_INDEX, tag);
  }

  /** Starts to upload a blob unless that has been done. Throws if another blob has failed. */
  #start({ digest, size }: BlobDescriptor, upload: () => Promise<void>): void {
    const { signal, failure, log } = this.#settings;
    signal.throwIfAborted();
    if (this.#blobs.has(digest)) {
      return;
    }
    this.#work ??= startWork(log, 'uploading');
    this.#work.expect(size);
    const blob = this.#uploads.run(async () => {
      signal.throwIfAborted();
      await upload();
    });
    blob.catch((error) => failure.abort(error));
    this.#blobs.set(digest, blob);
  }

  /** Resolves when the repository has the blob. */
  async #provide(source: BlobSource, { name, from }: BlobOrigin): Promise<void> {
    const { log, traffic } = this.#settings;
    const { digest, size } = source.descriptor;
    if (await hasBlob(this.#client, source.descriptor)) {
      log.info(`${digest} is already in the repository`);
      this.#work?.expect(-size);
      return;
    }

    let session: URL | undefined;
    const repository = this.#mountableFrom(from);
    if (repository === undefined) {
      session = this.#unusedSession;
      this.#unusedSession = undefined;
    } else {
      this.#client.addScope(repository, 'pull');
      session = await mountBlob(this.#client, digest, repository);
      if (session === undefined) {
        log.info(`${digest} is mounted from ${repository}`);
        this.#work?.expect(-size);
        return;
      }
    }

    const part = this.#work?.startPart(digest, name, size);
    await new Upload(this.#client, source, { session, traffic, part }).run();
    log.info(`${digest} is uploaded, ${size} bytes`);
  }

  /** Whether the registry has mounted a blob of another repository. */
  async #mount(digest: string, repository: string): Promise<boolean> {
    const { log, signal } = this.#settings;
    this.#client.addScope(repository, 'pull');
    try {
      const session = await mountBlob(this.#client, digest, repository);
      if (session === undefined) {
        log.info(`${digest} is mounted from ${repository}`);
        return true;
      }
      await cancelUpload(this.#client, session);
    } catch (error) {
      signal.throwIfAborted();
      log.info(`${digest} is not mounted: ${messageOf(error)}`);
    }
    return false;
  }

  /** Returns another repository of the same registry that has the blobs of `from`. */
  #mountableFrom(from: BlobHolder | undefined): string | undefined {
    const { host, repository } = this.#client.reference;
    const other = from?.mountableFrom?.(host);
    return other === repository ? undefined : other;
  }
}

async function* skipBytes(stream: ByteStream, count: number): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of stream) {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    if (skipped < chunk.length) {
      yield chunk.subarray(skipped);
    }
  }
}
