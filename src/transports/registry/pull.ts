/** Reading an image: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pull */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../../bytes/stream.js';
import { collect } from '../../bytes/stream.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { type Descriptor, MAX_JSON_SIZE, type Manifest } from '../../oci/types.js';
import type { ImageReader, TransportOptions } from '../transport.js';
import { RegistryClient } from './client.js';
import { type HttpResponse, receive } from './http.js';
import { fetchManifest } from './manifest.js';
import type { ImageReference } from './reference.js';
import { Retries } from './retry.js';

/** What a blob must have got on by for failures before not to count. */
const MIN_PROGRESS = 1 << 20;

/** Fetches the manifest, and nothing else yet. */
export async function openRegistryImage(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<RegistryReader> {
  return inContextAsync(`reading ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull', options);
    const { bytes, digest, manifest } = await fetchManifest(client, options.platform);
    return new RegistryReader(name, client, options, { bytes, digest, manifest });
  });
}

/** Blobs are streamed, and verified while they pass. */
export class RegistryReader implements ImageReader {
  readonly name: string;
  readonly isVerifying = true;
  readonly reference: ImageReference;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly #client: RegistryClient;
  readonly #traffic: TransportOptions['traffic'];
  #config: Promise<Uint8Array> | undefined;

  constructor(
    name: string,
    client: RegistryClient,
    { traffic }: TransportOptions,
    fetched: { readonly bytes: Uint8Array; readonly digest: string; readonly manifest: Manifest },
  ) {
    this.name = name;
    this.reference = client.reference;
    this.#client = client;
    this.#traffic = traffic;
    this.manifestDigest = fetched.digest;
    this.manifestBytes = fetched.bytes;
    this.manifest = fetched.manifest;
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
    return this.#blob(descriptor);
  }

  blobFile(): undefined {}

  async close(): Promise<void> {
    this.#client.close();
  }

  /** Goes on where it broke off, by Range requests. Throws `CORRUPT` as soon as the bytes cannot be those described. */
  async *#blob({ digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    const what = `${this.name}: blob ${digest}`;
    const retries = new Retries(this.#client.retryPolicy);
    let at = 0;
    for (let tried = 0; at < size || tried === 0; ) {
      const before = at;
      try {
        for await (const chunk of this.#from(digest, at, size)) {
          at += chunk.length;
          if (at > size) {
            throw new OstrataError(
              'CORRUPT',
              `${what}: the registry sends more than its ${size} bytes`,
            );
          }
          hash.update(chunk);
          yield chunk;
        }
        tried++;
        if (at < size) {
          throw new Error(`ended after ${at} of ${size} bytes`);
        }
      } catch (error) {
        if (at - before >= MIN_PROGRESS) {
          retries.reset();
        }
        await retries.after(this.#client.failure(what, error));
      }
    }
    const computed = `sha256:${hash.digest('hex')}`;
    if (computed !== digest) {
      throw new OstrataError(
        'CORRUPT',
        `${what}: what the registry sends has the digest ${computed}`,
      );
    }
  }

  /** The blob's bytes from `start` on, from one request. */
  async *#from(digest: string, start: number, size: number): AsyncGenerator<Uint8Array> {
    const response = await this.#client.requestOnce({
      method: 'GET',
      target: `blobs/${digest}`,
      ...(start > 0 && { headers: { range: `bytes=${start}-` } }),
      expected: start > 0 ? [200, 206] : [200],
    });
    checkLength(response, start, size);
    // Some registries know no ranges: then what is there already passes by once more.
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

/** What the headers say must fit: an error at once, not after gigabytes. */
function checkLength(
  { status, headers, message }: HttpResponse,
  start: number,
  size: number,
): void {
  const refuse = (said: string) => {
    message.destroy();
    return new OstrataError('CORRUPT', `the registry announces ${said} of a blob of ${size} bytes`);
  };
  if (status === 206) {
    const [, from, total] =
      /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
    if (Number(from) !== start || (total !== '*' && Number(total) !== size)) {
      throw refuse(
        `range ${JSON.stringify(headers['content-range'] ?? '')}, not from byte ${start}`,
      );
    }
  }
  const length = headers['content-length'];
  // A range may be answered by a part of it.
  const isRight = status === 206 ? Number(length) <= size - start : Number(length) === size;
  if (length !== undefined && !isRight) {
    throw refuse(`${length} bytes`);
  }
}
