/**
 * The list of artifacts that refer to a manifest, for registries that do not keep it themselves: an
 * index with a tag made from the digest of the manifest.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
 */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContext } from '../../errors.js';
import { canonicalJson, sha256Digest } from '../../oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { MAX_MANIFESTS, type Manifest } from '../../oci/types.js';

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
  const digest = sha256Digest(artifactBytes);
  const others = previous.manifests.filter((each) => each.digest !== digest);
  const { mediaType = OCI_MANIFEST, config, annotations } = artifact;
  const artifactType = artifact.artifactType ?? config.mediaType;
  const size = artifactBytes.length;
  const descriptor = { mediaType, digest, size, artifactType, annotations };
  return canonicalJson({
    ...previous,
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [...others, descriptor],
  });
}
