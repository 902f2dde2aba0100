/**
 * Reads an image from a registry:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pull
 */
import { createHash } from 'node:crypto';
import { type ByteStream, collect } from '../../bytes/stream.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { type Descriptor, type ImageIndex, MAX_JSON_SIZE, type Manifest } from '../../oci/types.js';
import type { ImageReader, Traffic, TransportOptions } from '../transport.js';
import { RegistryClient } from './client.js';
import { type FetchedManifest, fetchIndex, fetchManifest } from './manifest.js';
import type { ImageReference } from './reference.js';
import { listReferrers } from './referrers.js';
import { type HttpResponse, receive } from './response.js';
import { retryStream } from './retry.js';

/** Opens an image. Only its manifest is fetched at first. */
export async function openRegistryImage(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ImageReader> {
  return inContextAsync(`reading ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull', options);
    const fetched = await client.closedOnError(() => fetchManifest(client, options));
    return new RegistryReader(name, client, fetched, options.traffic);
  });
}

/** Returns the index that a reference names; undefined if it names one image. */
export async function readRegistryIndex(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ImageIndex | undefined> {
  return inContextAsync(`reading ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull', options);
    try {
      return await fetchIndex(client);
    } finally {
      client.close();
    }
  });
}

/** An image in a registry. Blobs are streamed and verified on the way. */
export class RegistryReader implements ImageReader {
  readonly name: string;
  readonly isVerifying = true;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly #client: RegistryClient;
  readonly #traffic: Traffic | undefined;
  #config: Promise<Uint8Array> | undefined;

  constructor(
    name: string,
    client: RegistryClient,
    fetched: FetchedManifest,
    traffic: Traffic | undefined,
  ) {
    this.name = name;
    this.manifestDigest = fetched.digest;
    this.manifestBytes = fetched.bytes;
    this.manifest = fetched.manifest;
    this.#client = client;
    this.#traffic = traffic;
  }

  config(): Promise<Uint8Array> {
    const { config } = this.manifest;
    this.#config ??= inContextAsync(`reading ${this.name}`, async () => {
      if (config.size > MAX_JSON_SIZE) {
        throw new OstrataError('LIMIT', `config of ${config.size} bytes, at most ${MAX_JSON_SIZE}`);
      }
      return collect(this.blob(config), config.size);
    });
    return this.#config;
  }

  blob(descriptor: Descriptor): ByteStream {
    return this.#verifiedBlob(descriptor);
  }

  blobFile(): undefined {}

  mountableFrom(host: string): string | undefined {
    const { reference } = this.#client;
    return reference.host === host ? reference.repository : undefined;
  }

  async referrers(artifactType: string): Promise<readonly Descriptor[]> {
    return inContextAsync(`artifacts that refer to ${this.name}`, () =>
      listReferrers(this.#client, this.manifestDigest, artifactType),
    );
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** Streams a blob. A transfer that breaks off is resumed where it was, by a range request. */
  async *#verifiedBlob({ digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
    const context = `${this.name}: blob ${digest}`;
    const hash = createHash('sha256');
    const stream = retryStream(this.#client.retryPolicy, (start) =>
      this.#blobFrom(start, digest, size, context),
    );
    for await (const chunk of stream) {
      hash.update(chunk);
      yield chunk;
    }

    const computed = `sha256:${hash.digest('hex')}`;
    if (computed !== digest) {
      throw new OstrataError(
        'CORRUPT',
        `${context}: the registry sent bytes with the digest ${computed}`,
      );
    }
  }

  /** Streams the bytes of a blob from `start` on, by one request. */
  async *#blobFrom(
    start: number,
    digest: string,
    size: number,
    context: string,
  ): AsyncGenerator<Uint8Array> {
    let received = start;
    try {
      for await (const chunk of this.#requestBlob(start, digest, size)) {
        received += chunk.length;
        // Throws at once instead of at the end, because an endless stream would fill the disk.
        if (received > size) {
          throw new OstrataError(
            'CORRUPT',
            `${context}: the registry sends more than its ${size} bytes`,
          );
        }
        yield chunk;
      }
      if (received < size) {
        throw new Error(`ended after ${received} of ${size} bytes`);
      }
    } catch (error) {
      throw this.#client.failure(context, error);
    }
  }

  async *#requestBlob(start: number, digest: string, size: number): AsyncGenerator<Uint8Array> {
    const response = await this.#client.requestOnce({
      method: 'GET',
      target: `blobs/${digest}`,
      headers: start > 0 ? { range: `bytes=${start}-` } : undefined,
      expected: start > 0 ? [200, 206] : [200],
    });
    checkHeaders(response, start, size);

    // A registry without range requests sends the blob from its beginning again.
    let skip = response.status === 206 ? 0 : start;
    for await (const chunk of receive(response)) {
      if (this.#traffic) {
        this.#traffic.blobBytesReceived += chunk.length;
      }
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (skipped < chunk.length) {
        yield chunk.subarray(skipped);
      }
    }
  }
}

/**
 * Compares the announced length with the expected one, so that a wrong one is an error now and not
 * after gigabytes.
 */
function checkHeaders(response: HttpResponse, start: number, size: number): void {
  const { status, headers, message } = response;
  const range = headers['content-range'] ?? '';
  const length = headers['content-length'];

  const refuse = (announced: string) => {
    message.destroy();
    return new OstrataError(
      'CORRUPT',
      `the registry announces ${announced} of a blob of ${size} bytes`,
    );
  };
  if (status === 206 && !isRangeFrom(range, start, size)) {
    throw refuse(`range ${JSON.stringify(range)}, not from byte ${start}`);
  }
  if (length === undefined) {
    return;
  }
  // The answer to a range request may contain only a part of the range.
  const fits = status === 206 ? Number(length) <= size - start : Number(length) === size;
  if (!fits) {
    throw refuse(`${length} bytes`);
  }
}

/** Whether a header `Content-Range: bytes FIRST-LAST/TOTAL` begins at `start`. */
function isRangeFrom(range: string, start: number, size: number): boolean {
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  return Number(first) === start && (total === '*' || Number(total) === size);
}
