/**
 * Commit objects: `(a{sv}aya(say)sstayay)` = metadata, parent (empty or 32 bytes), related objects,
 * subject, body, timestamp (big-endian, seconds since 1970), root dirtree, root dirmeta.
 * Detached metadata (commitmeta objects): `a{sv}`.
 * Source: ostree-core.h, OSTREE_COMMIT_GVARIANT_STRING.
 */
import { OstrataError } from '../../errors.js';
import { decode, encode, type GVariantValue, swap64, type Variant } from '../gvariant/value.js';
import { checksumFromBytes, checksumToBytes } from './object-name.js';

const COMMIT_TYPE = '(a{sv}aya(say)sstayay)';
const METADATA_TYPE = 'a{sv}';

/**
 * Metadata of a commit, or its detached metadata. Integers in it have the byte order of the machine
 * that wrote them; they are read as little-endian.
 */
export type Metadata = ReadonlyMap<string, Variant>;

type MetadataEntries = readonly (readonly [key: string, value: Variant])[];

/** The value of {@link COMMIT_TYPE}. */
type CommitValue = readonly [
  metadata: MetadataEntries,
  parent: Uint8Array,
  related: readonly (readonly [name: string, checksum: Uint8Array])[],
  subject: string,
  body: string,
  timestamp: bigint,
  dirtree: Uint8Array,
  dirmeta: Uint8Array,
];

export interface Commit {
  readonly metadata: Metadata;
  /** Checksum of the parent commit. */
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

/** Decodes a commit object. Throws `CORRUPT` unless `bytes` are one. */
export function decodeCommit(bytes: Uint8Array): Commit {
  const value = decode<CommitValue>(COMMIT_TYPE, bytes);
  const [metadata, parent, related, subject, body, timestamp, dirtree, dirmeta] = value;
  const seconds = swap64(timestamp);
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new OstrataError('CORRUPT', `commit timestamp ${seconds} is out of range`);
  }

  return {
    metadata: metadataMap(metadata),
    parent: parent.length > 0 ? checksumFromBytes(parent) : undefined,
    related: related.map(([name, checksum]) => [name, checksumFromBytes(checksum)]),
    subject,
    body,
    timestamp: Number(seconds),
    dirtree: checksumFromBytes(dirtree),
    dirmeta: checksumFromBytes(dirmeta),
  };
}

/** Encodes a commit object; metadata keys stay in the order of the map. */
export function encodeCommit(commit: Commit): Uint8Array {
  const value: CommitValue = [
    [...commit.metadata],
    commit.parent === undefined ? new Uint8Array() : checksumToBytes(commit.parent),
    commit.related.map(([name, checksum]) => [name, checksumToBytes(checksum)]),
    commit.subject,
    commit.body,
    swap64(BigInt(commit.timestamp)),
    checksumToBytes(commit.dirtree),
    checksumToBytes(commit.dirmeta),
  ];
  return encode(COMMIT_TYPE, value);
}

/** Decodes detached metadata. Throws `CORRUPT` unless it is an `a{sv}`. */
export function decodeMetadata(bytes: Uint8Array): Metadata {
  return metadataMap(decode<MetadataEntries>(METADATA_TYPE, bytes));
}

/** Encodes detached metadata; keys stay in the order of the map. */
export function encodeMetadata(metadata: Metadata): Uint8Array {
  return encode(METADATA_TYPE, [...metadata]);
}

/**
 * Refuses an empty key, as libostree does, and a key that occurs twice: it would depend on the
 * reader which of the values counts.
 */
function metadataMap(entries: MetadataEntries): Metadata {
  const metadata = new Map(entries);
  if (metadata.has('')) {
    throw new OstrataError('CORRUPT', 'a commit metadata key is empty');
  }
  if (metadata.size !== entries.length) {
    throw new OstrataError('CORRUPT', 'a commit metadata key occurs twice');
  }
  return metadata;
}

/**
 * Returns the value of `key` if it has the GVariant type `type`, else undefined. The caller states
 * as `Value` the shape that {@link GVariantValue} gives for that type.
 */
export function metadataValue<Value extends GVariantValue = GVariantValue>(
  metadata: Metadata,
  key: string,
  type: string,
): Value | undefined {
  const variant = metadata.get(key);
  return variant?.type === type ? (variant.value as Value) : undefined;
}
