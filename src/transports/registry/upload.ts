/**
 * Uploads one blob:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs
 */
import type { ByteStream } from '../../bytes/stream.js';
import { OstrataError } from '../../errors.js';
import type { WorkPart } from '../../log.js';
import type { Descriptor } from '../../oci/types.js';
import type { Traffic } from '../transport.js';
import type { RegistryClient } from './client.js';
import { type HttpBody, resolveLocation } from './http.js';
import { RequestError } from './request-error.js';
import { MAX_MESSAGE_SIZE, readAll, readMessage } from './response.js';
import { type RetryCounter, retry } from './retry.js';

/**
 * A blob is sent in one request, which every registry accepts. If a proxy refuses that (413), it is
 * sent in chunks of at most this size, which is below the known limits of proxies (100 MB). Each
 * further 413 halves the chunks.
 */
const CHUNK_SIZE = 64 << 20;
const MIN_CHUNK_SIZE = 1 << 20;
/**
 * Statuses that mean that the upload session no longer exists, or that the registry has received
 * less than we think.
 */
const SESSION_LOST = new Set([404, 410, 416]);
/** How long we wait for a registry to end an upload session that nobody needs any more. */
const CANCEL_TIMEOUT_MS = 5000;
const BINARY = { 'content-type': 'application/octet-stream' };

export type BlobDescriptor = Pick<Descriptor, 'digest' | 'size'>;

/** A blob to upload. */
export interface BlobSource {
  readonly descriptor: BlobDescriptor;
  /** Streams the blob from byte `start` on; called again for each attempt. */
  stream(start: number): ByteStream;
}

/**
 * Whether the registry has the blob. Throws `CORRUPT` if it has it with another size than
 * `descriptor` says.
 */
export async function hasBlob(
  client: RegistryClient,
  { digest, size }: BlobDescriptor,
): Promise<boolean> {
  const response = await client.request({
    method: 'HEAD',
    target: `blobs/${digest}`,
    expected: [200, 404],
  });
  await readAll(response, MAX_MESSAGE_SIZE);
  if (response.status === 404) {
    return false;
  }

  const length = response.headers['content-length'];
  if (length !== undefined && Number(length) !== size) {
    throw new OstrataError(
      'CORRUPT',
      `blob ${digest}: the registry has ${length} bytes of it instead of ${size}`,
    );
  }
  return true;
}

/** Starts an upload session and returns its URL. */
export async function startUpload(client: RegistryClient): Promise<URL> {
  const response = await client.request({
    method: 'POST',
    target: 'blobs/uploads/',
    expected: [202],
  });
  await readAll(response, MAX_MESSAGE_SIZE);
  return resolveLocation(response.headers.location ?? '', response.url);
}

/**
 * Asks the registry to mount the blob `digest` of its repository `from`. Returns undefined if it
 * did; otherwise it has started an upload session, whose URL is returned.
 */
export async function mountBlob(
  client: RegistryClient,
  digest: string,
  from: string,
): Promise<URL | undefined> {
  const query = new URLSearchParams({ mount: digest, from });
  const response = await client.request({
    method: 'POST',
    target: `blobs/uploads/?${query}`,
    expected: [201, 202],
  });
  await readAll(response, MAX_MESSAGE_SIZE);
  return response.status === 201
    ? undefined
    : resolveLocation(response.headers.location ?? '', response.url);
}

/** Ends an upload session. Errors are ignored: the registry removes old sessions anyway. */
export async function cancelUpload(client: RegistryClient, session: URL): Promise<void> {
  try {
    const response = await client.requestOnce({
      method: 'DELETE',
      target: session,
      stallTimeoutMs: CANCEL_TIMEOUT_MS,
      expected: [204],
    });
    await readMessage(response);
  } catch {}
}

export interface UploadOptions {
  /** An upload session to use; by default a new one is started. */
  readonly session?: URL | undefined;
  readonly traffic?: Traffic | undefined;
  /** Counts the bytes that were sent. */
  readonly part?: WorkPart | undefined;
}

/** Uploads a blob unless the repository has it. */
export async function uploadMissing(
  client: RegistryClient,
  source: BlobSource,
  traffic: Traffic | undefined,
): Promise<void> {
  if (!(await hasBlob(client, source.descriptor))) {
    await new Upload(client, source, { traffic }).run();
  }
}

/** Uploads one blob. After a failure the upload is resumed if the registry supports that. */
export class Upload {
  readonly #client: RegistryClient;
  readonly #source: BlobSource;
  readonly #traffic: Traffic | undefined;
  readonly #part: WorkPart | undefined;
  #session: URL | undefined;
  /** The number of bytes that the registry has confirmed. */
  #offset = 0;
  #chunkSize = Infinity;
  /** Set once the registry is known to have the whole blob. */
  #isStored = false;

  constructor(client: RegistryClient, source: BlobSource, options: UploadOptions) {
    const { session, traffic, part } = options;
    this.#client = client;
    this.#source = source;
    this.#session = session;
    this.#traffic = traffic;
    this.#part = part;
  }

  /** Resolves when the registry has the blob. */
  async run(): Promise<void> {
    await retry(
      this.#client.retryPolicy,
      () => this.#attempt(),
      (counter) => this.#recover(counter),
    );
    this.#part?.end();
  }

  async #attempt(): Promise<void> {
    while (!this.#isStored) {
      try {
        this.#session ??= await startUpload(this.#client);
        await this.#send(this.#session);
        this.#isStored = true;
      } catch (error) {
        if (!(await this.#useSmallerChunks(error))) {
          throw isSessionLost(error) ? error.asTemporary() : error;
        }
      }
    }
  }

  /** Finds out what the registry has received before the last attempt failed. */
  async #recover(counter: RetryCounter): Promise<void> {
    // If only the response was lost, the registry has the blob.
    this.#isStored = await hasBlob(this.#client, this.#source.descriptor);
    if (!this.#isStored) {
      await this.#resume();
      counter.reportProgress(this.#offset);
    }
  }

  async #send(session: URL): Promise<void> {
    const { size } = this.#source.descriptor;
    if (this.#offset === 0 && size <= this.#chunkSize) {
      return this.#finish(session, this.#body(size));
    }

    let target = session;
    while (this.#offset < size) {
      target = await this.#sendChunk(target, Math.min(size, this.#offset + this.#chunkSize));
    }
    return this.#finish(target, undefined);
  }

  /** Sends the bytes up to `end` and returns the session's URL for the next request. */
  async #sendChunk(target: URL, end: number): Promise<URL> {
    const response = await this.#client.requestOnce({
      method: 'PATCH',
      target,
      headers: { ...BINARY, 'content-range': `${this.#offset}-${end - 1}` },
      body: this.#body(end),
      expected: [202],
    });
    await readAll(response, MAX_MESSAGE_SIZE);
    const next = resolveLocation(response.headers.location ?? '', response.url);
    this.#session = next;
    this.#offset = end;
    return next;
  }

  async #finish(session: URL, body: HttpBody | undefined): Promise<void> {
    const digest = encodeURIComponent(this.#source.descriptor.digest);
    const target = new URL(session);
    // The query that the registry gave us must not be re-encoded, as URLSearchParams would.
    target.search += `${target.search === '' ? '?' : '&'}digest=${digest}`;
    const response = await this.#client.requestOnce({
      method: 'PUT',
      target,
      body,
      headers: BINARY,
      expected: [201],
    });
    await readAll(response, MAX_MESSAGE_SIZE);
  }

  /** Returns the bytes from the offset up to `end`. */
  #body(end: number): HttpBody {
    const start = this.#offset;
    const length = end - start;
    return {
      length,
      stream: () => this.#counted(start, length),
    };
  }

  async *#counted(start: number, length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    for await (const chunk of this.#source.stream(start)) {
      const bytes = chunk.subarray(0, left);
      left -= bytes.length;
      yield bytes;
      if (this.#traffic) {
        this.#traffic.blobBytesSent += bytes.length;
      }
      this.#part?.moveTo(start + length - left);
      if (left === 0) {
        return;
      }
    }
  }

  /**
   * If `error` says that the body was too large, prepares to send smaller chunks. Returns false if
   * it says anything else, or if chunks cannot be smaller.
   */
  async #useSmallerChunks(error: unknown): Promise<boolean> {
    if (!(error instanceof RequestError && error.status === 413)) {
      return false;
    }
    const refusedSize = Math.min(this.#chunkSize, this.#source.descriptor.size);
    if (refusedSize <= MIN_CHUNK_SIZE) {
      return false;
    }
    this.#chunkSize = Math.min(CHUNK_SIZE, Math.ceil(refusedSize / 2));
    await this.#restart();
    return true;
  }

  /** Asks how much the session has received; starts a new one if it cannot be used any more. */
  async #resume(): Promise<void> {
    if (this.#session === undefined) {
      return;
    }
    try {
      await this.#readState(this.#session);
    } catch (error) {
      if (!(error instanceof RequestError)) {
        throw error;
      }
      await this.#restart();
    }
  }

  async #readState(session: URL): Promise<void> {
    const response = await this.#client.requestOnce({
      method: 'GET',
      target: session,
      expected: [204],
    });
    await readAll(response, MAX_MESSAGE_SIZE);

    const offset = receivedBytes(response.headers.range);
    if (offset > this.#source.descriptor.size) {
      return this.#restart();
    }
    this.#session = resolveLocation(response.headers.location ?? session.href, response.url);
    this.#offset = offset;
  }

  async #restart(): Promise<void> {
    if (this.#session) {
      await cancelUpload(this.#client, this.#session);
    }
    this.#session = undefined;
    this.#offset = 0;
  }
}

/** Reads the number of received bytes from a header `Range: 0-LAST`. */
function receivedBytes(range = ''): number {
  const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(range) ?? [];
  // By the specification, 0-0 stands for one byte, but registries also use it for no bytes at all.
  return last === undefined || last === '0' ? 0 : Number(last) + 1;
}

function isSessionLost(error: unknown): error is RequestError {
  return error instanceof RequestError && SESSION_LOST.has(error.status ?? 0);
}
