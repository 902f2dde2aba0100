/** Writing an image: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push */
import { rm } from 'node:fs/promises';
import { inContextAsync, OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import { OCI_MANIFEST } from '../../oci/media-types.js';
import { type Descriptor, parseManifest } from '../../oci/types.js';
import { streamRange } from '../../system/file-chunks.js';
import { Semaphore } from '../semaphore.js';
import { makeStagingFolder, type StagingFolder } from '../staging.js';
import type { ImageReader, ImageWriter, TransportOptions } from '../transport.js';
import { RegistryClient } from './client.js';
import { MAX_MESSAGE_SIZE, readAll } from './http.js';
import { RegistryReader } from './pull.js';
import type { ImageReference } from './reference.js';
import { type BlobSource, cancelUpload, hasBlob, startUpload, Upload } from './upload.js';

/** Blobs on their way at the same time, as skopeo and podman have it. */
const MAX_UPLOADS = 6;

/** Makes sure that we may push, before anything is made ready for it. */
export async function createRegistryImage(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  if (reference.tag === undefined) {
    throw new OstrataError('USAGE', `${name}: an image is pushed to a tag, not a digest`);
  }
  // Ctrl-C is the caller's signal; a failure ends the other uploads too.
  const failure = new AbortController();
  const signal = options.signal
    ? AbortSignal.any([options.signal, failure.signal])
    : failure.signal;
  return inContextAsync(`preparing ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull,push', { ...options, signal });
    const session = await startUpload(client);
    const staging = await makeStagingFolder();
    return new RegistryWriter(name, client, { ...options, signal }, failure, staging, session);
  });
}

class RegistryWriter implements ImageWriter {
  readonly stagingDirectory: string;
  readonly #name: string;
  readonly #client: RegistryClient;
  readonly #options: TransportOptions;
  readonly #failure: AbortController;
  readonly #staging: StagingFolder;
  readonly #parallel = new Semaphore(MAX_UPLOADS);
  /** By digest; a failed one is reported when its end is awaited. */
  readonly #blobs = new Map<string, Promise<void>>();
  /** The upload that showed that we may push; the first blob takes it. */
  #session: URL | undefined;

  constructor(
    name: string,
    client: RegistryClient,
    options: TransportOptions,
    failure: AbortController,
    staging: StagingFolder,
    session: URL | undefined,
  ) {
    this.#name = name;
    this.#client = client;
    this.#options = options;
    this.#failure = failure;
    this.stagingDirectory = staging.path;
    this.#staging = staging;
    this.#session = session;
  }

  /** Returns while the blob is still being uploaded; the file is removed when it is there. */
  async addBlob(file: string, descriptor: Descriptor): Promise<void> {
    this.#start(descriptor, async () => {
      await this.#provide({ descriptor, stream: (start) => streamRange(file, start) }, undefined);
      await rm(file, { force: true });
    });
  }

  /** Returns while the blob is still being uploaded. Of the same registry, nothing is. */
  async mountBlob(descriptor: Descriptor, from: ImageReader): Promise<void> {
    this.#start(descriptor, () =>
      inContextAsync(`taking over blob ${descriptor.digest} of ${from.name}`, () =>
        this.#provide(
          { descriptor, stream: (start) => dropBytes(from.blob(descriptor), start) },
          from,
        ),
      ),
    );
  }

  async commit({
    config,
    manifest,
  }: {
    readonly config: Uint8Array;
    readonly manifest: Uint8Array;
  }): Promise<void> {
    await inContextAsync(`writing ${this.#name}`, async () => {
      this.#startBytes(config);
      await Promise.all(this.#blobs.values());
      // Last: from here on the image is there.
      const { mediaType = OCI_MANIFEST } = parseManifest(manifest);
      const response = await this.#client.request({
        method: 'PUT',
        target: `manifests/${this.#client.reference.tag}`,
        headers: { 'content-type': mediaType },
        body: { length: manifest.length, stream: () => [manifest] },
        expected: [201],
      });
      await readAll(response, MAX_MESSAGE_SIZE);
      const stored = response.headers['docker-content-digest'];
      const digest = sha256Digest(manifest);
      if (stored !== undefined && stored !== digest) {
        throw new OstrataError(
          'CORRUPT',
          `the registry has stored the manifest ${digest} as ${stored}`,
        );
      }
    });
    await this.discard();
  }

  async discard(): Promise<void> {
    if (this.#session) {
      await cancelUpload(this.#client, this.#session);
    }
    this.#session = undefined;
    this.#failure.abort();
    await Promise.allSettled(this.#blobs.values());
    this.#client.close();
    await this.#staging.remove();
  }

  #startBytes(bytes: Uint8Array): void {
    const descriptor = { digest: sha256Digest(bytes), size: bytes.length };
    const stream = (start: number) => [bytes.subarray(start)];
    this.#start(descriptor, () => this.#provide({ descriptor, stream }, undefined));
  }

  #start({ digest }: BlobSource['descriptor'], body: () => Promise<void>): void {
    // What comes after a failure is of no use: `reason` is the failure.
    this.#options.signal?.throwIfAborted();
    if (this.#blobs.has(digest)) {
      return;
    }
    const blob = this.#parallel.run(async () => {
      this.#options.signal?.throwIfAborted();
      await body();
    });
    blob.catch((error) => this.#failure.abort(error));
    this.#blobs.set(digest, blob);
  }

  /** The blob is in the repository when this resolves. */
  async #provide(source: BlobSource, from: ImageReader | undefined): Promise<void> {
    const { digest } = source.descriptor;
    if (await hasBlob(this.#client, source.descriptor)) {
      this.#options.log?.info(`${digest} is there`);
      return;
    }
    let session: URL | undefined;
    const { host, repository } = this.#client.reference;
    if (
      from instanceof RegistryReader &&
      from.reference.host === host &&
      from.reference.repository !== repository
    ) {
      this.#client.addScope(from.reference.repository, 'pull');
      session = await startUpload(this.#client, { digest, from: from.reference.repository });
      if (session === undefined) {
        this.#options.log?.info(`${digest} is taken over from ${from.name}`);
        return;
      }
    } else {
      session = this.#session;
      this.#session = undefined;
    }
    await new Upload(this.#client, source, { session, traffic: this.#options.traffic }).run();
    this.#options.log?.info(`${digest} is uploaded, ${source.descriptor.size} bytes`);
  }
}

async function* dropBytes(stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, count: number) {
  let left = count;
  for await (const chunk of stream) {
    const dropped = Math.min(left, chunk.length);
    left -= dropped;
    if (dropped < chunk.length) {
      yield chunk.subarray(dropped);
    }
  }
}
