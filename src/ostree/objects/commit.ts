/**
 * Commit objects: `(a{sv}aya(say)sstayay)` = metadata, parent (empty or 32 bytes), related objects, subject, body,
 * timestamp (big-endian, seconds since 1970), root dirtree, root dirmeta. Detached metadata (commitmeta): `a{sv}`.
 * Source: ostree-core.h, OSTREE_COMMIT_GVARIANT_STRING.
 */
import { OstrataError } from '../../errors.js';
import { decode, encode, type GVariantValue, swap64, type Variant } from '../gvariant/value.js';
import { checksumFromBytes, checksumToBytes } from './object-name.js';

const COMMIT_TYPE = '(a{sv}aya(say)sstayay)';
const METADATA_TYPE = 'a{sv}';

/** The `a{sv}` of a commit or of its detached metadata. Integers are in the order of the writer's machine: read as little-endian. */
export type Metadata = ReadonlyMap<string, Variant>;

type MetadataEntries = readonly (readonly [key: string, value: Variant])[];

export interface Commit {
  readonly metadata: Metadata;
  readonly parent?: string | undefined;
  readonly related: readonly (readonly [name: string, checksum: string])[];
  readonly subject: string;
  readonly body: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Checksum of the root directory's dirtree object. */
  readonly dirtree: string;
  /** Checksum of the root directory's dirmeta object. */
  readonly dirmeta: string;
}

export function decodeCommit(bytes: Uint8Array): Commit {
  const [metadata, parent, related, subject, body, timestamp, dirtree, dirmeta] = decode(
    COMMIT_TYPE,
    bytes,
  ) as [
    MetadataEntries,
    Uint8Array,
    [string, Uint8Array][],
    string,
    string,
    bigint,
    Uint8Array,
    Uint8Array,
  ];
  const seconds = swap64(timestamp);
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new OstrataError('CORRUPT', `commit timestamp ${seconds}`);
  }
  return {
    metadata: metadataMap(metadata),
    ...(parent.length > 0 && { parent: checksumFromBytes(parent) }),
    related: related.map(([name, checksum]) => [name, checksumFromBytes(checksum)]),
    subject,
    body,
    timestamp: Number(seconds),
    dirtree: checksumFromBytes(dirtree),
    dirmeta: checksumFromBytes(dirmeta),
  };
}

export function encodeCommit(commit: Commit): Uint8Array {
  return encode(COMMIT_TYPE, [
    [...commit.metadata],
    commit.parent === undefined ? new Uint8Array() : checksumToBytes(commit.parent),
    commit.related.map(([name, checksum]) => [name, checksumToBytes(checksum)]),
    commit.subject,
    commit.body,
    swap64(BigInt(commit.timestamp)),
    checksumToBytes(commit.dirtree),
    checksumToBytes(commit.dirmeta),
  ]);
}

export function decodeMetadata(bytes: Uint8Array): Metadata {
  return metadataMap(decode(METADATA_TYPE, bytes) as MetadataEntries);
}

/** A key given twice is an error: which of the two counts would depend on the reader. */
function metadataMap(entries: MetadataEntries): Metadata {
  const metadata = new Map(entries);
  if (metadata.size !== entries.length) {
    throw new OstrataError('CORRUPT', 'a commit metadata key occurs twice');
  }
  return metadata;
}

/** Keys in the order of the map. */
export function encodeMetadata(metadata: Metadata): Uint8Array {
  return encode(METADATA_TYPE, [...metadata]);
}

/** The value of `key` if it is there with the GVariant type `type`. */
export function metadataValue(
  metadata: Metadata,
  key: string,
  type: string,
): GVariantValue | undefined {
  const variant = metadata.get(key);
  return variant?.type === type ? variant.value : undefined;
}
