/**
 * A kind of signatures that are made and verified by key files, without GPG (`OstreeSign` in
 * libostree). All kinds sign the bytes of a commit object.
 */
import type { KeyObject } from 'node:crypto';

export interface SignatureKind {
  /** As options and the configuration of remotes spell it. */
  readonly name: 'ed25519' | 'spki';
  /** The key of the signatures in the detached metadata of a commit. */
  readonly metadataKey: string;
  /** Bytes of a signature; undefined if that depends on the key. */
  readonly signatureSize: number | undefined;
  /** Parses a file of public keys. Each key is returned as {@link canonicalKey} returns it. */
  publicKeysIn(text: string): readonly string[];
  /**
   * Returns a public key in the one form that base64 has for it, so that keys can be compared as
   * text. Throws `CORRUPT` if it cannot be a key.
   */
  canonicalKey(base64: string): string;
  /** Returns a key that {@link canonicalKey} has returned, for use with OpenSSL. */
  publicKey(key: string): KeyObject;
  /**
   * Parses a file of secret keys. Throws `CORRUPT` if one is broken; the message does not show any
   * of it.
   */
  secretKeysIn(text: string): readonly KeyObject[];
}
