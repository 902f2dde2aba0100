/**
 * Caches of layer blobs in registries, which builds on several machines share. They are a second
 * tier behind the cache on the disk.
 *
 * Each layer is an artifact of its own, with a tag made from the blob key (shared-entry.ts).
 *
 * Adding. The blob is pushed by its digest and the tag last, so nobody finds half an entry, and
 * builders that add the same layer at the same time do not disturb each other.
 *
 * Trust. Whoever can write to the repository can put any blob under any key. A key says nothing
 * about the bytes of a blob, and clients such as bootc do not compare layers with their diffIds. So
 * the caller has to compute the digest of the tar that it would have written, and a blob is used
 * only after it has been read, decompressed and found to hold that tar. Only an entry that is
 * authenticated by a secret, which the builders share and the registry does not know, is believed
 * as one on the disk is.
 *
 * Failures. No failure here may end a build: a registry that cannot be used is reported once and
 * not asked again, and an entry that is not as it should be is reported and not used.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import type { ByteStream } from '../bytes/stream.js';
import { messageOf, OstrataError } from '../errors.js';
import type { Context, WorkPart } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { validateBlob } from '../oci/validate.js';
import { writeFully } from '../system/write-fully.js';
import type { ArtifactRepository, BlobHolder } from '../transports/transport.js';
import {
  CACHED_LAYER_TYPE,
  encodeSharedEntry,
  parseSharedEntry,
  type SharedEntry,
  tagOf,
  type WantedBlob,
} from './shared-entry.js';
import type { BlobResult } from './writer.js';

/** Opens a repository, at the first use of its cache. */
export interface CacheRepository {
  /** The reference of the repository, for messages. */
  readonly name: string;
  open(): Promise<ArtifactRepository>;
}

export interface SharedCacheOptions extends Context {
  /** Where blobs are looked up, in this order. */
  readonly from: readonly CacheRepository[];
  /** Where blobs are added. */
  readonly to: CacheRepository | undefined;
  /** What authenticates entries; undefined without. */
  readonly secret: Uint8Array | undefined;
}

/** An entry that was found, and where. */
export interface FoundEntry extends SharedEntry {
  /** The reference of the repository. */
  readonly origin: string;
  readonly tag: string;
  readonly source: Repository;
  readonly image: ImageReader;
}

export class SharedCache {
  readonly #sources: readonly Repository[];
  readonly #target: Repository | undefined;
  readonly #secret: Uint8Array | undefined;

  /** Connects to no registry yet. */
  constructor({ from, to, secret, log, signal }: SharedCacheOptions) {
    const context = { log, signal };
    this.#sources = from.map((place) => new Repository(place, isOfOneEntry, context));
    this.#target = to && new Repository(to, () => false, context);
    this.#secret = secret;
  }

  /** Returns the entry for a blob from the first repository that has one. */
  async find(wanted: WantedBlob): Promise<FoundEntry | undefined> {
    const tag = tagOf(wanted);
    for (const source of this.#sources) {
      const found = await source.attempt(tag, async (repository) => {
        const image = await repository.find(tag, CACHED_LAYER_TYPE);
        return image && { ...parseSharedEntry(image.manifest, wanted, this.#secret), image };
      });
      if (found !== undefined) {
        return { ...found, tag, origin: source.name, source };
      }
    }
    return undefined;
  }

  /**
   * Downloads the blob of an entry to `path`. Returns false unless it is, byte for byte, what the
   * entry says.
   * @param part counts the bytes
   */
  async download(entry: FoundEntry, path: string, part: WorkPart): Promise<boolean> {
    const { source, image, descriptor, blob, tag } = entry;
    const isDone = await source.attempt(tag, async () => {
      try {
        const stream = saved(image.blob(descriptor), path, part);
        const { diffId } = await validateBlob(stream, descriptor, (tar) =>
          drain(tar, blob.tarSize),
        );
        if (diffId !== blob.diffId) {
          const rule = `blob ${descriptor.digest} holds ${diffId}, not ${blob.diffId}`;
          throw new OstrataError('CORRUPT', rule);
        }
        return true;
      } catch (error) {
        rmSync(path, { force: true });
        throw error;
      }
    });
    return isDone === true;
  }

  /** Reports an entry that does not hold what the caller would have written. */
  refuse({ tag, source }: FoundEntry, rule: string): void {
    source.warnOfEntry(tag, rule);
  }

  /**
   * Adds the blob in the file at `path`, unless its entry is there. Returns the repository, which
   * has the blob now; undefined if there is none to add it to, or after a failure.
   */
  async add(wanted: WantedBlob, path: string, blob: BlobResult): Promise<BlobHolder | undefined> {
    const tag = tagOf(wanted);
    return this.#target?.attempt(tag, async (repository) => {
      const entry = encodeSharedEntry(wanted, blob, this.#secret, new Date());
      await repository.add(tag, entry, path);
      return repository;
    });
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#sources, this.#target].map((each) => each?.close()));
  }
}

/** A repository that is opened when it is needed, and not used any more once it has failed. */
class Repository {
  readonly #place: CacheRepository;
  readonly #isOfOneEntry: (error: unknown) => boolean;
  readonly #context: Context;
  #opened: Promise<ArtifactRepository> | undefined;
  #hasFailed = false;

  /** @param isOfOneEntry whether an error says nothing about other entries */
  constructor(place: CacheRepository, isOfOneEntry: (error: unknown) => boolean, context: Context) {
    this.#place = place;
    this.#isOfOneEntry = isOfOneEntry;
    this.#context = context;
  }

  get name(): string {
    return this.#place.name;
  }

  /**
   * Returns what `body` returns. Returns undefined after a failure, which is only a warning, and
   * without trying if the repository has failed before. Throws if the build is cancelled.
   * @param tag of the entry that `body` is about
   */
  async attempt<T>(
    tag: string,
    body: (repository: ArtifactRepository) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#hasFailed) {
      return undefined;
    }
    try {
      this.#opened ??= this.#place.open();
      return await body(await this.#opened);
    } catch (error) {
      this.#report(tag, error);
      return undefined;
    }
  }

  warnOfEntry(tag: string, rule: string): void {
    this.#context.log.warn(`${tag} in the cache ${this.name} is not used: ${rule}`);
  }

  async close(): Promise<void> {
    const [opened] = await Promise.allSettled([this.#opened]);
    if (opened.status === 'fulfilled') {
      opened.value?.close();
    }
  }

  #report(tag: string, error: unknown): void {
    const { log, signal } = this.#context;
    if (signal.aborted) {
      throw error;
    }
    if (this.#isOfOneEntry(error)) {
      this.warnOfEntry(tag, messageOf(error));
      return;
    }
    const rule = `the cache ${this.name} is not used any more: ${messageOf(error)}`;
    if (this.#hasFailed) {
      log.info(rule);
      return;
    }
    this.#hasFailed = true;
    log.warn(rule);
  }
}

/** Whether a failure to read an entry says nothing about the others of the repository. */
function isOfOneEntry(error: unknown): boolean {
  const codes: readonly string[] = ['CORRUPT', 'UNSUPPORTED', 'LIMIT', 'NOT_FOUND'];
  return error instanceof OstrataError && codes.includes(error.code);
}

/** Passes on a stream that is written to a new file at `path`. */
async function* saved(
  stream: ByteStream,
  path: string,
  part: WorkPart,
): AsyncGenerator<Uint8Array> {
  const fd = openSync(path, 'wx', 0o644);
  try {
    for await (const chunk of stream) {
      writeFully(fd, chunk);
      part.advance(chunk.length);
      yield chunk;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a tar to its end. Its size is known, so a decompression bomb is stopped there, and files of
 * zeros, which compress as well as a bomb, are let through.
 */
async function drain(tar: LayerTar, tarSize: number): Promise<void> {
  let size = 0;
  tar.allowContent(tarSize);
  for await (const chunk of tar) {
    size += chunk.length;
    if (size > tarSize) {
      throw new OstrataError('CORRUPT', `its tar has more than ${tarSize} bytes`);
    }
  }
}
