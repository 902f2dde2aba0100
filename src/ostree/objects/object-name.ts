/**
 * The names of ostree objects: a sha256 checksum and a kind, `CHECKSUM.kind`. In a repository an
 * object lies at `objects/HH/REST.kind`, where `HH` is the first two hex digits of the checksum.
 * Source: ostree-core.h (OstreeObjectType, ostree_object_to_string).
 */
import { createHash } from 'node:crypto';
import { OstrataError } from '../../errors.js';

/** Largest metadata object that is read (OSTREE_MAX_METADATA_SIZE is 10 MiB too). */
export const MAX_METADATA_SIZE = 10 << 20;

/** Kinds of objects that are one GVariant. */
export const METADATA_KINDS = ['commit', 'commitmeta', 'dirtree', 'dirmeta'] as const;
export type MetadataKind = (typeof METADATA_KINDS)[number];

/** All kinds of objects. A content object is a `filez` in an archive repository, else a `file`. */
export const OBJECT_KINDS = [...METADATA_KINDS, 'file', 'filez'] as const;
export type ObjectKind = (typeof OBJECT_KINDS)[number];

/** Identifies an object of a repository. */
export interface ObjectName<Kind extends ObjectKind = ObjectKind> {
  /** 64 lower-case hex digits. */
  readonly checksum: string;
  /** The file extension of the object. */
  readonly kind: Kind;
}

const CHECKSUM = /^[0-9a-f]{64}$/;
const CHECKSUM_DIGITS = 64;
/** Length in bytes of a checksum inside an object. */
export const CHECKSUM_BYTES = 32;

/** Whether `text` is 64 lower-case hex digits. */
export function isChecksum(text: string): boolean {
  return CHECKSUM.test(text);
}

/** Returns `CHECKSUM.kind`: the key of an object in maps, and the name of its file in a stage. */
export function encodeObjectName(checksum: string, kind: ObjectKind): string {
  return `${checksum}.${kind}`;
}

/**
 * Parses what {@link encodeObjectName} returned. Throws `CORRUPT` unless the kind is one of
 * `kinds`.
 */
export function parseObjectName<Kind extends ObjectKind>(
  name: string,
  kinds: readonly Kind[],
): ObjectName<Kind> {
  const checksum = name.slice(0, CHECKSUM_DIGITS);
  const kind = kinds.find((each) => name === encodeObjectName(checksum, each));
  if (kind === undefined || !isChecksum(checksum)) {
    throw new OstrataError(
      'CORRUPT',
      `${JSON.stringify(name)} is not the name of an object of kind ${kinds.join(' or ')}`,
    );
  }
  return { checksum, kind };
}

/**
 * Returns the path of a file below `objects/`. The extension is the kind of an object, or that of a
 * file beside it (`file-xattrs-link`). Throws `CORRUPT` unless `checksum` is one.
 */
export function objectPath(checksum: string, extension: string): string {
  requireChecksum(checksum);
  return `${checksum.slice(0, 2)}/${checksum.slice(2)}.${extension}`;
}

/** Returns the sha256 of `bytes` as 64 hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Decodes a checksum that is stored as 32 bytes in an object. */
export function checksumFromBytes(bytes: Uint8Array): string {
  if (bytes.length !== CHECKSUM_BYTES) {
    throw new OstrataError(
      'CORRUPT',
      `checksum of ${bytes.length} bytes instead of ${CHECKSUM_BYTES}`,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** Encodes a checksum as the 32 bytes that objects store. Throws `CORRUPT` unless it is one. */
export function checksumToBytes(checksum: string): Uint8Array {
  requireChecksum(checksum);
  return new Uint8Array(Buffer.from(checksum, 'hex'));
}

function requireChecksum(checksum: string): void {
  if (!isChecksum(checksum)) {
    throw new OstrataError('CORRUPT', `${JSON.stringify(checksum)} is not an object checksum`);
  }
}
