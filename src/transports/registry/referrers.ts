/**
 * The list of artifacts that refer to a manifest. A registry that does not keep it itself has an
 * index instead, with a tag made from the digest of the manifest.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
 */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContext, OstrataError } from '../../errors.js';
import { canonicalJson } from '../../oci/json.js';
import { OCI_INDEX } from '../../oci/media-types.js';
import { referrerDescriptor } from '../../oci/referrer.js';
import {
  type Descriptor,
  MAX_JSON_SIZE,
  MAX_MANIFESTS,
  type Manifest,
  parseIndex,
} from '../../oci/types.js';
import type { RegistryClient } from './client.js';
import { fetchTagged } from './manifest.js';
import { RequestError } from './request-error.js';
import { type HttpResponse, readAll } from './response.js';

/** Limit for the pages of a list. */
const MAX_PAGES = 100;
/** A link to the next page (RFC 8288). */
const NEXT_LINK = /<([^<>]*)>\s*;\s*rel="?next"?/i;

/** A list as it is extended: members that this version does not know are kept. */
const referrersSchema = v.looseObject({
  manifests: v.pipe(v.array(v.looseObject({ digest: v.string() })), v.maxLength(MAX_MANIFESTS - 1)),
});

/** Returns the tag of the list of artifacts that refer to the manifest `digest`. */
export function referrersTag(digest: string): string {
  return digest.replace(':', '-');
}

/**
 * Returns the list with the artifact, once. Throws `CORRUPT` for a list that is malformed.
 * @param list the list that the registry has; undefined if it has none
 */
export function withReferrer(
  list: Uint8Array | undefined,
  artifact: Manifest,
  artifactBytes: Uint8Array,
): Uint8Array {
  const previous =
    list === undefined
      ? { manifests: [] }
      : inContext('list of referrers', () =>
          parseJson(Buffer.from(list).toString(), referrersSchema),
        );
  const descriptor = referrerDescriptor(artifact, artifactBytes);
  const others = previous.manifests.filter(({ digest }) => digest !== descriptor.digest);
  return canonicalJson({
    ...previous,
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [...others, descriptor],
  });
}

/** Returns the list without some artifacts; undefined if nothing is left. */
export function withoutReferrers(
  list: Uint8Array,
  removed: readonly string[],
): Uint8Array | undefined {
  const previous = inContext('list of referrers', () =>
    parseJson(Buffer.from(list).toString(), referrersSchema),
  );
  const manifests = previous.manifests.filter(({ digest }) => !removed.includes(digest));
  return manifests.length === 0 ? undefined : canonicalJson({ ...previous, manifests });
}

/**
 * Returns the artifacts of a type that refer to the manifest `digest`. Throws `CORRUPT` for a list
 * that is malformed, and `LIMIT` for one that is too long.
 */
export async function listReferrers(
  client: RegistryClient,
  digest: string,
  artifactType: string,
): Promise<readonly Descriptor[]> {
  const kept = await fetchReferrers(client, digest, artifactType);
  const manifests = kept ?? (await taggedReferrers(client, digest));
  return manifests.filter((each) => each.artifactType === artifactType);
}

async function taggedReferrers(
  client: RegistryClient,
  digest: string,
): Promise<readonly Descriptor[]> {
  const list = await fetchTagged(client, referrersTag(digest));
  return list === undefined ? [] : parseIndex(list).manifests;
}

/** Returns what the list has that the registry keeps itself; undefined if it keeps none. */
async function fetchReferrers(
  client: RegistryClient,
  digest: string,
  artifactType: string,
): Promise<readonly Descriptor[] | undefined> {
  const type = encodeURIComponent(artifactType);
  const first = await firstPage(client, `referrers/${digest}?artifactType=${type}`);
  const manifests: Descriptor[] = [];
  let pages = 0;
  for (let page = first; page !== undefined; ) {
    pages++;
    const list = await readAll(page, MAX_JSON_SIZE);
    manifests.push(...parseIndex(list).manifests);
    if (pages > MAX_PAGES || manifests.length > MAX_MANIFESTS) {
      const rule = `at most ${MAX_MANIFESTS} artifacts on ${MAX_PAGES} pages are listed`;
      throw new OstrataError('LIMIT', `list of referrers: ${rule}`);
    }
    const next = nextPage(page);
    page = next === undefined ? undefined : await requestPage(client, next);
  }
  return first === undefined ? undefined : manifests;
}

/** Returns undefined if the registry keeps no list. */
async function firstPage(
  client: RegistryClient,
  target: string,
): Promise<HttpResponse | undefined> {
  try {
    return await requestPage(client, target);
  } catch (error) {
    // Registries and proxies that know no such request refuse it in several ways.
    const status = error instanceof RequestError ? (error.status ?? 0) : 0;
    if (status >= 400 && status < 500) {
      return undefined;
    }
    throw error;
  }
}

function requestPage(client: RegistryClient, target: string | URL): Promise<HttpResponse> {
  return client.request({
    method: 'GET',
    target,
    headers: { accept: OCI_INDEX },
    expected: [200],
  });
}

/** Returns the page that the header `Link` names; undefined if there is no other one. */
function nextPage({ headers, url }: HttpResponse): URL | undefined {
  const [, target] = NEXT_LINK.exec(String(headers.link)) ?? [];
  if (target === undefined) {
    return undefined;
  }
  if (!URL.canParse(target, url.href)) {
    throw new OstrataError('CORRUPT', `list of referrers: the header Link has no URL: ${target}`);
  }
  return new URL(target, url);
}
