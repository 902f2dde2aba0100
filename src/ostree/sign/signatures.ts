/**
 * The signatures in the detached metadata of a commit: a list of byte strings (`aay`) under a key
 * for each kind.
 * Source: ostree-sign.c (`_sign_detached_metadata_append`), ostree-repo.c
 */
import { OstrataError } from '../../errors.js';
import { type Metadata, metadataValue } from '../objects/commit.js';
import { ed25519 } from './ed25519.js';
import type { SignatureKind } from './signature-kind.js';
import { spki } from './spki.js';

/** The key of GPG signatures in the detached metadata. */
export const GPG_SIGNATURES = 'ostree.gpgsigs';

/** The kinds of signatures other than GPG, in the order in which they are tried. */
export const SIGNATURE_KINDS: readonly SignatureKind[] = [ed25519, spki];

const SIGNATURES_TYPE = 'aay';
/**
 * Limit for the number of signatures, each of which costs a verification; real commits have one or
 * two.
 */
const MAX_SIGNATURES = 64;

/** Returns the signatures under one key. Throws `LIMIT` if there are too many. */
export function signaturesIn(metadata: Metadata, key: string): readonly Uint8Array[] {
  const found = metadataValue<readonly Uint8Array[]>(metadata, key, SIGNATURES_TYPE) ?? [];
  checkCount(key, found.length);
  return found;
}

/**
 * Returns detached metadata with signatures added under one key. Throws `LIMIT` if they become too
 * many.
 */
export function withSignatures(
  metadata: Metadata,
  key: string,
  added: readonly Uint8Array[],
): Metadata {
  const signatures = [...signaturesIn(metadata, key), ...added];
  checkCount(key, signatures.length);
  return new Map([...metadata, [key, { type: SIGNATURES_TYPE, value: signatures }]]);
}

function checkCount(key: string, count: number): void {
  if (count > MAX_SIGNATURES) {
    throw new OstrataError('LIMIT', `${count} signatures ${key}, at most ${MAX_SIGNATURES}`);
  }
}
