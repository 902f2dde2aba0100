/**
 * The digest of a header, which rpm checks before it lists a package: over magic and version, and
 * then the immutable region in the form of a .rpm file. The rules are those of rpm's lib/header.c
 * (hdrblobDigestUpdate). It detects damage, not forgery: only a signature does that.
 */
import { createHash } from 'node:crypto';
import type { RpmHeader } from './header.js';
import { Tag } from './tags.js';

/** What a .rpm file has before a header: three bytes of magic, the version 1, four zeros. */
const MAGIC_AND_VERSION = Buffer.from('8eade80100000000', 'hex');

/** The tags of digests in hexadecimal; the first one that a header has counts. */
const DIGESTS = [
  { tag: Tag.SHA256HEADER, algorithm: 'sha256' },
  { tag: Tag.SHA1HEADER, algorithm: 'sha1' },
] as const;

/** What the digest of a header shows; `missing` if it carries none, as headers of keys do. */
export type HeaderDigest =
  | { readonly state: 'right' | 'missing' }
  | { readonly state: 'wrong'; readonly message: string };

/**
 * Computes the digest of a header and compares it with the one that the header carries. Throws
 * `CORRUPT` if the entry of the digest is broken.
 */
export function checkHeaderDigest(header: RpmHeader): HeaderDigest {
  const digest = DIGESTS.find(({ tag }) => header.has(tag));
  const region = header.immutableRegion();
  if (digest === undefined || region === undefined) {
    return { state: 'missing' };
  }
  const hash = createHash(digest.algorithm).update(MAGIC_AND_VERSION);
  for (const part of region) {
    hash.update(part);
  }
  const actual = hash.digest('hex');
  const expected = header.text(digest.tag);
  if (actual === expected) {
    return { state: 'right' };
  }
  const message = `the ${digest.algorithm} of the header is ${actual}, it should be ${expected}`;
  return { state: 'wrong', message };
}
