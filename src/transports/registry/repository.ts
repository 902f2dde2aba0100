/**
 * Adds, lists and deletes artifacts in a repository of a registry:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#content-management
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { type Descriptor, MAX_JSON_SIZE } from '../../oci/types.js';
import { readChunks } from '../../system/file-chunks.js';
import { Semaphore } from '../semaphore.js';
import type {
  ArtifactDocuments,
  ArtifactRepository,
  ArtifactRights,
  ImageReader,
  TaggedArtifact,
  Traffic,
  TransportOptions,
} from '../transport.js';
import { RegistryClient } from './client.js';
import { fetchArtifact, fetchTagged, imagesOfTag } from './manifest.js';
import { putDocument } from './put-document.js';
import { RegistryReader } from './reader.js';
import { type ImageReference, isTag } from './reference.js';
import { listReferrers, referrersTag, withoutReferrers } from './referrers.js';
import { RequestError } from './request-error.js';
import { MAX_MESSAGE_SIZE, readAll } from './response.js';
import { type BlobSource, uploadMissing } from './upload.js';

const TAGS_PER_PAGE = 1000;
/** Limit for the pages of the list of tags. */
const MAX_PAGES = 100;
const MAX_REQUESTS = 6;
/** How often a manifest is put whose blobs the registry does not know yet, and the wait between. */
const MAX_PUTS = 5;
const PUT_DELAY_MS = 200;
const tagList = v.object({ tags: v.nullish(v.array(v.string())) });

/** The tag of the list of what refers to an image, and those of its signatures by cosign. */
const DIGEST_TAG = /^sha256-([0-9a-f]{64})(\..*)?$/;

export async function openRegistryRepository(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
  rights: ArtifactRights,
): Promise<ArtifactRepository> {
  return inContextAsync(`reading ${name}`, async () => {
    const client = await RegistryClient.open(reference, rights, options);
    return new RegistryRepository(name, client, options.traffic);
  });
}

class RegistryRepository implements ArtifactRepository {
  readonly #name: string;
  readonly #client: RegistryClient;
  readonly #traffic: Traffic | undefined;
  /** Configs that are uploaded, or on their way, by digest. */
  readonly #configs = new Map<string, Promise<void>>();

  constructor(name: string, client: RegistryClient, traffic: Traffic | undefined) {
    this.#name = name;
    this.#client = client;
    this.#traffic = traffic;
  }

  async find(tag: string, artifactType: string): Promise<ImageReader | undefined> {
    return inContextAsync(`reading ${this.#name}:${tag}`, async () => {
      const fetched = await fetchArtifact(this.#client, tag, artifactType);
      const name = `${this.#name}:${tag}`;
      return fetched && new RegistryReader(name, this.#client, fetched, this.#traffic);
    });
  }

  async add(
    tag: string,
    { config, manifest, blob }: ArtifactDocuments,
    file: string,
  ): Promise<void> {
    await inContextAsync(`writing ${this.#name}:${tag}`, async () => {
      const stream = (offset: number) => readChunks(file, { offset, followSymlink: true });
      const source = { descriptor: blob, stream };
      for (let attempt = 1; ; attempt++) {
        await this.#upload(source);
        await this.#uploadConfig(config);
        const isPut = await this.#putUnlessThere(tag, manifest, attempt < MAX_PUTS);
        if (isPut) {
          return;
        }
        const delayMs = PUT_DELAY_MS * (0.5 + Math.random());
        await sleep(delayMs, undefined, { signal: this.#client.retryPolicy.signal });
      }
    });
  }

  mountableFrom(host: string): string | undefined {
    const { reference } = this.#client;
    return reference.host === host ? reference.repository : undefined;
  }

  async tagged(prefix: string, artifactType: string): Promise<readonly TaggedArtifact[]> {
    return inContextAsync(`reading ${this.#name}`, async () => {
      const tags = (await this.#listTags()).filter((tag) => tag.startsWith(prefix));
      const parallel = new Semaphore(MAX_REQUESTS);
      const found = await Promise.all(
        tags.map((tag) => parallel.run(() => this.#artifactOf(tag, artifactType))),
      );
      return found.filter((each) => each !== undefined);
    });
  }

  async removeManifests(digests: readonly string[]): Promise<void> {
    await inContextAsync(`deleting artifacts of ${this.#name}`, async () => {
      for (const digest of digests) {
        await this.#delete(digest);
      }
    });
  }

  async tags(): Promise<readonly string[]> {
    return inContextAsync(`reading ${this.#name}`, () => this.#listTags());
  }

  async images(): Promise<readonly string[]> {
    return inContextAsync(`reading ${this.#name}`, async () => {
      const tags = await this.#listTags();
      const parallel = new Semaphore(MAX_REQUESTS);
      const found = await Promise.all(tags.map((tag) => parallel.run(() => this.#imagesOf(tag))));
      return [...new Set(found.flat())];
    });
  }

  async referrers(digest: string, artifactType: string): Promise<readonly Descriptor[]> {
    return inContextAsync(`artifacts that refer to ${digest} in ${this.#name}`, () =>
      listReferrers(this.#client, digest, artifactType),
    );
  }

  /** The artifacts go first: a list that names a missing one is mended by the next attempt. */
  async remove(subject: string, artifacts: readonly string[]): Promise<void> {
    await inContextAsync(`deleting artifacts of ${this.#name}`, async () => {
      for (const digest of artifacts) {
        await this.#delete(digest);
      }
      const tag = referrersTag(subject);
      const list = await fetchTagged(this.#client, tag);
      if (list === undefined) {
        return;
      }
      const shorter = withoutReferrers(list, artifacts);
      if (shorter === undefined) {
        await this.#delete(sha256Digest(list));
      } else {
        await putDocument(this.#client, shorter, OCI_INDEX, tag);
      }
    });
  }

  close(): void {
    this.#client.close();
  }

  async #imagesOf(tag: string): Promise<readonly string[]> {
    const [, subject, suffix] = DIGEST_TAG.exec(tag) ?? [];
    if (subject === undefined) {
      return imagesOfTag(this.#client, tag);
    }
    return suffix === undefined ? [`sha256:${subject}`] : [];
  }

  async #upload(source: BlobSource): Promise<void> {
    await uploadMissing(this.#client, source, this.#traffic);
  }

  /** Artifacts that are added at the same time may have the same config. */
  async #uploadConfig(config: Uint8Array): Promise<void> {
    const digest = sha256Digest(config);
    const stream = (offset: number) => [config.subarray(offset)];
    const descriptor = { digest, size: config.length };
    const upload = this.#configs.get(digest) ?? this.#upload({ descriptor, stream });
    this.#configs.set(digest, upload);
    await upload;
  }

  /**
   * Gives a manifest its tag, unless it has that. While others upload the same blobs,
   * docker-registry may say that it does not know them.
   * @param isRepeated whether false is returned then, instead of an error
   */
  async #putUnlessThere(tag: string, manifest: Uint8Array, isRepeated: boolean): Promise<boolean> {
    if (await this.#isThere(tag, manifest)) {
      return true;
    }
    try {
      await putDocument(this.#client, manifest, OCI_MANIFEST, tag);
      return true;
    } catch (error) {
      const isBlobUnknown =
        error instanceof RequestError && error.message.includes('MANIFEST_BLOB_UNKNOWN');
      if (isBlobUnknown && isRepeated) {
        return false;
      }
      throw error;
    }
  }

  /** A document that cannot be read is replaced as any other is: anybody may have put it there. */
  async #isThere(tag: string, manifest: Uint8Array): Promise<boolean> {
    try {
      const present = await fetchTagged(this.#client, tag);
      return present !== undefined && Buffer.from(manifest).equals(present);
    } catch (error) {
      if (isFaulty(error)) {
        return false;
      }
      throw error;
    }
  }

  /** Returns the artifact with a tag; undefined if it is gone or is something else. */
  async #artifactOf(tag: string, artifactType: string): Promise<TaggedArtifact | undefined> {
    try {
      const fetched = await fetchArtifact(this.#client, tag, artifactType);
      return fetched && { tag, digest: fetched.digest, manifest: fetched.manifest };
    } catch (error) {
      if (isFaulty(error)) {
        return undefined;
      }
      throw error;
    }
  }

  /** Returns all tags; a page begins after the last tag of the one before. */
  async #listTags(): Promise<readonly string[]> {
    const all: string[] = [];
    let last = '';
    for (let page = 0; page < MAX_PAGES; page++) {
      const after = last === '' ? '' : `&last=${encodeURIComponent(last)}`;
      const response = await this.#client.request({
        method: 'GET',
        target: `tags/list?n=${TAGS_PER_PAGE}${after}`,
        expected: [200],
      });
      const text = Buffer.from(await readAll(response, MAX_JSON_SIZE)).toString();
      const tags = parseJson(text, tagList).tags?.filter(isTag) ?? [];
      all.push(...tags);
      last = tags.at(-1) ?? '';
      if (response.headers.link === undefined || last === '') {
        return all;
      }
    }
    throw new OstrataError('LIMIT', `more than ${MAX_PAGES} pages of tags`);
  }

  async #delete(digest: string): Promise<void> {
    try {
      const response = await this.#client.request({
        method: 'DELETE',
        target: `manifests/${digest}`,
        expected: [200, 202, 404],
      });
      await readAll(response, MAX_MESSAGE_SIZE);
    } catch (error) {
      if (error instanceof RequestError && [400, 405].includes(error.status ?? 0)) {
        const nextStep = 'its administrator has to allow that, or delete them';
        throw new OstrataError(
          'UNSUPPORTED',
          `the registry deletes no manifests; ${nextStep} (${error.message})`,
        );
      }
      throw error;
    }
  }
}

/** Whether an error is about what a document says, and not about the way to the registry. */
function isFaulty(error: unknown): boolean {
  const codes: readonly string[] = ['CORRUPT', 'LIMIT', 'UNSUPPORTED'];
  return error instanceof OstrataError && codes.includes(error.code);
}
