/**
 * The digest and the signatures of a header: over magic and version, and then the immutable region
 * in the form of a .rpm file. The rules are those of rpm's lib/header.c (hdrblobDigestUpdate). rpm
 * checks the digest before it lists a package. It detects damage, not forgery: only a signature
 * does that.
 */
import { createHash } from 'node:crypto';
import type { RpmHeader } from './header.js';
import { Tag } from './tags.js';

/** What a .rpm file has before a header: three bytes of magic, the version 1, four zeros. */
const MAGIC_AND_VERSION = Buffer.from('8eade80100000000', 'hex');

/** The tags of signatures over the same bytes as the digest. */
const SIGNATURES = [Tag.RSAHEADER, Tag.DSAHEADER];

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
  const parts = signedParts(header);
  if (digest === undefined || parts === undefined) {
    return { state: 'missing' };
  }
  const hash = createHash(digest.algorithm);
  for (const part of parts) {
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

/** The signatures of a header, and the bytes that they sign. */
export interface SignedHeader {
  readonly bytes: Uint8Array;
  /** Detached OpenPGP signatures; several of them are signatures by several keys. */
  readonly signatures: readonly Uint8Array[];
}

/**
 * Returns the signatures of a header: those of version 4 packages (RSA, also of newer algorithms,
 * and DSA) and those of version 6 (OPENPGP, in base64). Undefined if it has none. Throws `CORRUPT`
 * if one of these entries is broken.
 */
export function signedHeader(header: RpmHeader): SignedHeader | undefined {
  const signatures = SIGNATURES.flatMap((tag) => header.binary(tag) ?? []);
  for (const text of header.byteStrings(Tag.OPENPGP) ?? []) {
    const signature = Buffer.from(text, 'base64');
    signatures.push(signature);
  }
  const parts = signedParts(header);
  if (parts === undefined || signatures.length === 0) {
    return undefined;
  }
  return { bytes: Buffer.concat(parts), signatures };
}

/** Returns what digests and signatures cover; undefined if the header has no immutable region. */
function signedParts(header: RpmHeader): readonly Uint8Array[] | undefined {
  const region = header.immutableRegion();
  return region && [MAGIC_AND_VERSION, ...region];
}
