/**
 * Lists and deletes artifacts in a repository of a registry:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#content-management
 */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { sha256Digest } from '../../oci/json.js';
import { OCI_INDEX } from '../../oci/media-types.js';
import { type Descriptor, MAX_JSON_SIZE } from '../../oci/types.js';
import { Semaphore } from '../semaphore.js';
import type { ArtifactRepository, TransportOptions } from '../transport.js';
import { RegistryClient } from './client.js';
import { fetchTagged, imagesOfTag } from './manifest.js';
import { type ImageReference, isTag } from './reference.js';
import { listReferrers, referrersTag, withoutReferrers } from './referrers.js';
import { RequestError } from './request-error.js';
import { MAX_MESSAGE_SIZE, readAll } from './response.js';

const TAGS_PER_PAGE = 1000;
/** Limit for the pages of the list of tags. */
const MAX_PAGES = 100;
const MAX_REQUESTS = 6;
const tagList = v.object({ tags: v.nullish(v.array(v.string())) });

/** The tag of the list of what refers to an image, and those of its signatures by cosign. */
const DIGEST_TAG = /^sha256-([0-9a-f]{64})(\..*)?$/;

export async function openRegistryRepository(
  reference: ImageReference,
  name: string,
  options: TransportOptions,
): Promise<ArtifactRepository> {
  return inContextAsync(`reading ${name}`, async () => {
    const client = await RegistryClient.open(reference, 'pull,push,delete', options);
    return new RegistryRepository(name, client);
  });
}

class RegistryRepository implements ArtifactRepository {
  readonly #name: string;
  readonly #client: RegistryClient;

  constructor(name: string, client: RegistryClient) {
    this.#name = name;
    this.#client = client;
  }

  async images(): Promise<readonly string[]> {
    return inContextAsync(`reading ${this.#name}`, async () => {
      const tags = await this.#tags();
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
        await this.#putList(tag, shorter);
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

  /** Returns all tags; a page begins after the last tag of the one before. */
  async #tags(): Promise<readonly string[]> {
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

  async #putList(tag: string, list: Uint8Array): Promise<void> {
    const response = await this.#client.request({
      method: 'PUT',
      target: `manifests/${tag}`,
      headers: { 'content-type': OCI_INDEX },
      body: { length: list.length, stream: () => [list] },
      expected: [201],
    });
    await readAll(response, MAX_MESSAGE_SIZE);
  }
}
