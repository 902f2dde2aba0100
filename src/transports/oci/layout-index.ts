/** Changes `index.json` of an OCI image layout. */
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { REF_NAME } from '../../oci/annotations.js';
import { canonicalJson } from '../../oci/json.js';
import { OCI_INDEX } from '../../oci/media-types.js';
import type { Descriptor } from '../../oci/types.js';

/** What an entry is found by. */
export interface EntryName {
  /** Undefined for the only image of a layout that has no name. */
  readonly tag: string | undefined;
  /** Whether the entry never has a tag, because it refers to an image. */
  readonly isUnnamed: boolean;
}

/** An entry as it is rewritten: members that this version does not know are kept. */
const indexEntry = v.looseObject({
  digest: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  annotations: v.optional(v.record(v.string(), v.string())),
});
const extensibleIndex = v.looseObject({ manifests: v.array(indexEntry) });

type IndexEntry = v.InferOutput<typeof indexEntry>;

/** Returns the index with an entry, instead of the one that had the same name. */
export function withEntry(
  index: string | undefined,
  descriptor: Descriptor,
  name: EntryName,
): Uint8Array {
  const previous = index === undefined ? { manifests: [] } : parseJson(index, extensibleIndex);
  const others = previous.manifests.filter((entry) => !isReplaced(entry, descriptor, name));
  return canonicalJson({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    ...previous,
    manifests: [...others, name.isUnnamed ? descriptor : named(descriptor, name.tag)],
  });
}

/** An image without a tag replaces the one without a tag, but no artifact that refers to it. */
function isReplaced(
  { digest, artifactType, annotations }: IndexEntry,
  by: Descriptor,
  { tag, isUnnamed }: EntryName,
): boolean {
  const entryTag = annotations?.[REF_NAME];
  if (isUnnamed) {
    return digest === by.digest && entryTag === undefined;
  }
  const isReferrer = entryTag === undefined && artifactType !== undefined;
  return entryTag === tag && !isReferrer;
}

function named(descriptor: Descriptor, tag: string | undefined): Descriptor {
  const annotations = tag === undefined ? undefined : { [REF_NAME]: tag };
  return { ...descriptor, annotations };
}
