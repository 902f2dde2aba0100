// Indexes of images in an OCI image layout, written without the program.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blobPath } from '../../src/oci/image-layout.js';
import { sha256Digest } from '../../src/oci/json.js';
import { OCI_INDEX } from '../../src/oci/media-types.js';

const REF_NAME = 'org.opencontainers.image.ref.name';

export interface IndexEntry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Readonly<Record<string, string>> | undefined;
}

export interface Index {
  readonly manifests: readonly IndexEntry[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Reads `index.json`, or the index that has a tag. */
export function readIndex(layout: string, tag?: string): Index {
  const index: Index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  if (tag === undefined) {
    return index;
  }
  const tagged = index.manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag);
  return JSON.parse(readFileSync(join(layout, blobPath(tagged?.digest ?? '')), 'utf8'));
}

/** Adds an index of `entries` to a layout; their tags are left out. */
export function addIndex(
  layout: string,
  tag: string,
  entries: readonly IndexEntry[],
  annotations?: Readonly<Record<string, string>>,
): void {
  const manifests = entries.map(({ annotations: { [REF_NAME]: _, ...others } = {}, ...entry }) => ({
    ...entry,
    annotations: others,
  }));
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests, annotations };
  const bytes = Buffer.from(JSON.stringify(index));
  const digest = sha256Digest(bytes);
  writeFileSync(join(layout, blobPath(digest)), bytes);
  const entry = { mediaType: OCI_INDEX, digest, size: bytes.length };
  const whole = readIndex(layout);
  const tagged = { ...entry, annotations: { [REF_NAME]: tag } };
  const all = { ...whole, manifests: [...whole.manifests, tagged] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(all));
}
