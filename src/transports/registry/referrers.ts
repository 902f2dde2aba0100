/**
 * The list of artifacts that refer to a manifest. A registry that does not keep it itself has an
 * index instead, with a tag made from the digest of the manifest.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
 */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContext } from '../../errors.js';
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
import { readAll } from './response.js';

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
 * Returns the artifacts of a type that refer to the manifest `digest`; of a list in several pages,
 * those of the first. Throws `CORRUPT` for a list that is malformed.
 */
export async function listReferrers(
  client: RegistryClient,
  digest: string,
  artifactType: string,
): Promise<readonly Descriptor[]> {
  const kept = await fetchReferrers(client, digest, artifactType);
  const list = kept ?? (await fetchTagged(client, referrersTag(digest)));
  if (list === undefined) {
    return [];
  }
  const { manifests } = parseIndex(list);
  return manifests.filter((each) => each.artifactType === artifactType);
}

/** Returns the list that the registry keeps itself; undefined if it keeps none. */
async function fetchReferrers(
  client: RegistryClient,
  digest: string,
  artifactType: string,
): Promise<Uint8Array | undefined> {
  const type = encodeURIComponent(artifactType);
  try {
    const response = await client.request({
      method: 'GET',
      target: `referrers/${digest}?artifactType=${type}`,
      headers: { accept: OCI_INDEX },
      expected: [200],
    });
    return await readAll(response, MAX_JSON_SIZE);
  } catch (error) {
    // Registries and proxies that know no such request refuse it in several ways.
    const status = error instanceof RequestError ? (error.status ?? 0) : 0;
    if (status >= 400 && status < 500) {
      return undefined;
    }
    throw error;
  }
}
