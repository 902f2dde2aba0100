/** Uploading one blob: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-blobs */

import type { ByteStream } from '../../bytes/stream.js';
import { OstrataError } from '../../errors.js';
import type { Descriptor } from '../../oci/types.js';
import type { Traffic } from '../transport.js';
import type { RegistryClient } from './client.js';
import { RequestError } from './errors.js';
import { type HttpBody, MAX_MESSAGE_SIZE, readAll, resolveLocation } from './http.js';
import { Retries } from './retry.js';

/**
 * A blob goes in one request, as every registry takes it. Where something in between does not (413), it goes in chunks
 * of at most this many bytes, which is under the limits known of proxies (100 MB), and of half as many after each 413.
 */
const CHUNK_SIZE = 64 << 20;
const MIN_CHUNK_SIZE = 1 << 20;
/** What a blob must have got on by for failures before not to count. */
const MIN_PROGRESS = 1 << 20;
/** The session is gone, or of another opinion on how far it is. */
const SESSION_LOST = new Set([404, 410, 416]);
const OCTETS = { 'content-type': 'application/octet-stream' };

/** A blob to upload. */
export interface BlobSource {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>;
  /** From byte `start` on; called again for each try. */
  stream(start: number): ByteStream;
}

/** The registry has the blob, with the size that we know. */
export async function hasBlob(
  client: RegistryClient,
  { digest, size }: BlobSource['descriptor'],
): Promise<boolean> {
  const response = await client.request({
    method: 'HEAD',
    target: `blobs/${digest}`,
    expected: [200, 404],
  });
  await readAll(response, MAX_MESSAGE_SIZE);
  const length = response.headers['content-length'];
  if (response.status === 200 && length !== undefined && Number(length) !== size) {
    throw new OstrataError(
      'CORRUPT',
      `blob ${digest}: the registry has ${length} bytes of it instead of ${size}`,
    );
  }
  return response.status === 200;
}

/** Where to upload a blob to; undefined: the registry took it over from `mount.from`, nothing is to be sent. */
export async function startUpload(
  client: RegistryClient,
  mount?: { readonly digest: string; readonly from: string },
): Promise<URL | undefined> {
  const query = mount ? `?${new URLSearchParams({ mount: mount.digest, from: mount.from })}` : '';
  const expected = mount ? [201, 202] : [202];
  const response = await client.request({
    method: 'POST',
    target: `blobs/uploads/${query}`,
    expected,
  });
  await readAll(response, MAX_MESSAGE_SIZE);
  return response.status === 201
    ? undefined
    : resolveLocation(response.headers.location ?? '', response.url);
}

/** Gives the session up; what the registry says to that is of no interest. */
export async function cancelUpload(client: RegistryClient, session: URL): Promise<void> {
  try {
    const response = await client.requestOnce({
      method: 'DELETE',
      target: session,
      expected: [204],
    });
    await readAll(response, MAX_MESSAGE_SIZE);
  } catch {}
}

function isSessionLost(error: unknown): error is RequestError {
  return error instanceof RequestError && SESSION_LOST.has(error.status ?? 0);
}

/** Uploads one blob, going on where it broke off if the registry can. */
export class Upload {
  readonly #client: RegistryClient;
  readonly #source: BlobSource;
  readonly #traffic: Traffic | undefined;
  #session: URL | undefined;
  /** What the registry has for certain. */
  #offset = 0;
  #chunkSize = Infinity;

  constructor(
    client: RegistryClient,
    source: BlobSource,
    {
      session,
      traffic,
    }: { readonly session?: URL | undefined; readonly traffic?: Traffic | undefined },
  ) {
    this.#client = client;
    this.#source = source;
    this.#session = session;
    this.#traffic = traffic;
  }

  async run(): Promise<void> {
    const retries = new Retries(this.#client.retryPolicy);
    let furthest = 0;
    for (;;) {
      try {
        this.#session ??= await startUpload(this.#client);
        return await this.#send();
      } catch (error) {
        if (await this.#adapted(error)) {
          continue;
        }
        await retries.after(isSessionLost(error) ? error.asTemporary() : error);
        // The answer may have got lost, not the blob.
        if (await hasBlob(this.#client, this.#source.descriptor)) {
          return;
        }
        await this.#resume();
        if (this.#offset - furthest < MIN_PROGRESS) {
          continue;
        }
        furthest = this.#offset;
        retries.reset();
      }
    }
  }

  async #send(): Promise<void> {
    const { size } = this.#source.descriptor;
    if (this.#offset === 0 && size <= this.#chunkSize) {
      return this.#finish(this.#body(size));
    }
    while (this.#offset < size) {
      await this.#patch(Math.min(size, this.#offset + this.#chunkSize));
    }
    await this.#finish(undefined);
  }

  async #patch(end: number): Promise<void> {
    const response = await this.#client.requestOnce({
      method: 'PATCH',
      target: this.#session as URL,
      headers: { ...OCTETS, 'content-range': `${this.#offset}-${end - 1}` },
      body: this.#body(end),
      expected: [202],
    });
    await readAll(response, MAX_MESSAGE_SIZE);
    this.#session = resolveLocation(response.headers.location ?? '', response.url);
    this.#offset = end;
  }

  async #finish(body: HttpBody | undefined): Promise<void> {
    const { digest } = this.#source.descriptor;
    const target = new URL(this.#session as URL);
    // What is there already has to stay as it is written.
    target.search += `${target.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
    const request = { method: 'PUT' as const, target, body, headers: OCTETS, expected: [201] };
    await readAll(await this.#client.requestOnce(request), MAX_MESSAGE_SIZE);
  }

  /** Bytes from the offset up to `end`. */
  #body(end: number): HttpBody {
    const start = this.#offset;
    return {
      length: end - start,
      stream: () => this.#counted(this.#source.stream(start), end - start),
    };
  }

  async *#counted(stream: ByteStream, length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    for await (const chunk of stream) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
      if (this.#traffic) {
        this.#traffic.blobBytesSent += part.length;
      }
      if (left === 0) {
        return;
      }
    }
  }

  /** Whether the failure tells how to do it otherwise. */
  async #adapted(error: unknown): Promise<boolean> {
    if (!(error instanceof RequestError && error.status === 413)) {
      return false;
    }
    const tried = Math.min(this.#chunkSize, this.#source.descriptor.size);
    if (tried <= MIN_CHUNK_SIZE) {
      return false;
    }
    this.#chunkSize = Math.min(CHUNK_SIZE, Math.ceil(tried / 2));
    await this.#restart();
    return true;
  }

  /** Asks how far the session is; begins anew where it is of no more use. */
  async #resume(): Promise<void> {
    if (this.#session === undefined) {
      return;
    }
    try {
      const response = await this.#client.requestOnce({
        method: 'GET',
        target: this.#session,
        expected: [204],
      });
      await readAll(response, MAX_MESSAGE_SIZE);
      const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '') ?? [];
      // An empty session is also told as 0-0.
      const offset = last === undefined || last === '0' ? 0 : Number(last) + 1;
      if (offset > this.#source.descriptor.size) {
        return this.#restart();
      }
      this.#session = resolveLocation(
        response.headers.location ?? this.#session.href,
        response.url,
      );
      this.#offset = offset;
    } catch (error) {
      if (!(error instanceof RequestError)) {
        throw error;
      }
      await this.#restart();
    }
  }

  async #restart(): Promise<void> {
    if (this.#session) {
      await cancelUpload(this.#client, this.#session);
    }
    this.#session = undefined;
    this.#offset = 0;
  }
}
