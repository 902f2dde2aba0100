/** What is common to all ostree objects: kinds, checksums, where they lie in a repository. */
import { createHash } from 'node:crypto';
import { OstrataError } from '../../errors.js';

/** Largest metadata object that is read (OSTREE_MAX_METADATA_SIZE is 10 MiB too). */
export const MAX_METADATA_SIZE = 10 << 20;

/** Object kinds that are one GVariant, named as their file extension. */
export type MetadataKind = 'commit' | 'commitmeta' | 'dirtree' | 'dirmeta';

/** 64 lower-case hex digits. */
const CHECKSUM = /^[0-9a-f]{64}$/;
export const CHECKSUM_BYTES = 32;

export function isChecksum(text: string): boolean {
  return CHECKSUM.test(text);
}

/** Path of an object below `objects/`: `HH/REST.extension`; `checksum` must be 64 hex digits. */
export function objectPath(checksum: string, extension: string): string {
  if (!isChecksum(checksum)) {
    throw new OstrataError('CORRUPT', `${JSON.stringify(checksum)} is no object checksum`);
  }
  return `${checksum.slice(0, 2)}/${checksum.slice(2)}.${extension}`;
}

/** sha256 as 64 hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The 64 hex digits of a checksum stored as 32 bytes in an object. */
export function checksumFromBytes(bytes: Uint8Array): string {
  if (bytes.length !== CHECKSUM_BYTES) {
    throw new OstrataError(
      'CORRUPT',
      `checksum of ${bytes.length} bytes instead of ${CHECKSUM_BYTES}`,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

export function checksumToBytes(checksum: string): Uint8Array {
  if (!isChecksum(checksum)) {
    throw new OstrataError('CORRUPT', `${JSON.stringify(checksum)} is no object checksum`);
  }
  return new Uint8Array(Buffer.from(checksum, 'hex'));
}
