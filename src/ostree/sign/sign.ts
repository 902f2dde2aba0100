/**
 * Signs commits: adds signatures to their detached metadata, as `ostree sign` and `ostree gpg-sign`
 * do. The same ed25519 or RSA key gives the same signature each time; ECDSA and GPG do not.
 */
import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errnoOf, inContext, inContextAsync, OstrataError } from '../../errors.js';
import { signWithGpg } from '../../system/gpg.js';
import { decodeMetadata, encodeMetadata, type Metadata } from '../objects/commit.js';
import { GPG_SIGNATURES, SIGNATURE_KINDS, withSignatures } from './signatures.js';

/** Signs commits with one or more keys. */
export interface CommitSigner {
  /** The key of the signatures in the detached metadata. */
  readonly metadataKey: string;
  /** Returns a signature of the bytes of a commit object for each key. */
  sign(commit: Uint8Array): Promise<readonly Uint8Array[]>;
}

/** Limit for a key file. Keys of the largest kinds have a few kB. */
const MAX_KEY_FILE = 1 << 20;

/**
 * Reads a file of secret keys, each of which will sign. No message shows what is in it.
 * @param kindName `ed25519` or `spki`; another one is a `USAGE` error
 */
export function keyFileSigner(kindName: string, path: string): CommitSigner {
  const kind = SIGNATURE_KINDS.find(({ name }) => name === kindName);
  if (kind === undefined) {
    const names = SIGNATURE_KINDS.map(({ name }) => name).join(' or ');
    throw new OstrataError('USAGE', `the kind of the signing key has to be ${names}`);
  }
  const keys = inContext(`${kindName} keys in ${shownPath(path)}`, () =>
    kind.secretKeysIn(readKeyFile(path)),
  );
  if (keys.length === 0) {
    throw new OstrataError('CORRUPT', `there is no ${kindName} key in ${shownPath(path)}`);
  }
  return {
    metadataKey: kind.metadataKey,
    // No digest is named: OpenSSL knows the one that goes with a key.
    sign: async (commit) => keys.map((key) => sign(null, commit, key)),
  };
}

function readKeyFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    // The message of Node has the path, see shownPath.
    throw new OstrataError('IO', `it cannot be read (${errnoOf(error)})`);
  }
  if (text.length > MAX_KEY_FILE) {
    throw new OstrataError('LIMIT', `${text.length} bytes, at most ${MAX_KEY_FILE}`);
  }
  return text;
}

/** `ostree sign` takes a key itself, and users may do the same here by mistake. */
const LOOKS_LIKE_KEY = /^[A-Za-z0-9+/]{86}==$|-----BEGIN/;

/** Returns a path as messages show it. */
function shownPath(path: string): string {
  return LOOKS_LIKE_KEY.test(path) ? '(a key, where the path of a file is expected)' : path;
}

/**
 * Signs with a secret key of GnuPG.
 * @param key what gpg takes as the name of a key, such as its id or fingerprint
 * @param home the directory of GnuPG; by default that of the user
 */
export function gpgSigner(key: string, home?: string): CommitSigner {
  return {
    metadataKey: GPG_SIGNATURES,
    sign: async (commit) => [await signWithGpg(commit, key, home)],
  };
}

/**
 * Returns the detached metadata of a commit with the signatures of all signers, which follow those
 * that it has. Without signers it stays as it is.
 * @param commit the bytes of the commit object
 * @param detached undefined if the commit has no detached metadata
 */
export async function signCommit(
  commit: Uint8Array,
  detached: Uint8Array | undefined,
  signers: readonly CommitSigner[],
): Promise<Uint8Array | undefined> {
  if (signers.length === 0) {
    return detached;
  }
  return inContextAsync('signing the commit', async () => {
    let metadata: Metadata = detached === undefined ? new Map() : decodeMetadata(detached);
    for (const signer of signers) {
      const signatures = await signer.sign(commit);
      metadata = withSignatures(metadata, signer.metadataKey, signatures);
    }
    return encodeMetadata(metadata);
  });
}
