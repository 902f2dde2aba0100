/**
 * Verifies the signatures of a commit, which its detached metadata holds, with the keys of a
 * remote. The rules are those of libostree (ostree_repo_signature_verify_commit_data): GPG
 * signatures are required unless the remote has `gpg-verify=false`, others if it has `sign-verify`.
 * One good signature of each required kind is enough.
 */
import { inContext, inContextAsync, OstrataError } from '../../errors.js';
import { decodeMetadata, type Metadata, metadataValue } from '../objects/commit.js';
import type { OstreeRepo } from '../repo.js';
import { ed25519Keys, verifyEd25519 } from './ed25519.js';
import { verifyGpg } from './gpg.js';
import { loadRemote, type Remote } from './remote.js';

const GPG_SIGNATURES = 'ostree.gpgsigs';
const ED25519_SIGNATURES = 'ostree.sign.ed25519';
const SIGNATURES_TYPE = 'aay';
/**
 * Limit for the number of signatures, each of which costs a verification; real commits have one or
 * two.
 */
const MAX_SIGNATURES = 64;

/** A commit object and its detached metadata, as they are stored. */
export interface SignedCommit {
  readonly checksum: string;
  readonly bytes: Uint8Array;
  /** Undefined if the commit has none. */
  readonly detached: Uint8Array | undefined;
}

/**
 * Returns one line per kind of signature that names the signer. Throws `CORRUPT` unless every
 * required kind has a good signature; for other errors see {@link signatureRules}.
 */
export async function verifySignatures(
  repo: OstreeRepo,
  remoteName: string,
  commit: SignedCommit,
  remotesDirectory?: string,
): Promise<readonly string[]> {
  const { remote, kinds } = signatureRules(repo, remoteName, remotesDirectory);
  return inContextAsync(`commit ${commit.checksum}, signed by remote ${remoteName}`, async () => {
    if (commit.detached === undefined) {
      throw new OstrataError('CORRUPT', 'it has no detached metadata, so no signature');
    }
    const metadata = decodeMetadata(commit.detached);
    const good: string[] = [];
    if (remote.gpgVerify) {
      const found = signatures(metadata, GPG_SIGNATURES);
      good.push(await verifyGpg(repo, remote, commit.bytes, found));
    }
    if (kinds.length > 0) {
      const keys = inContext('ed25519 keys', () => ed25519Keys(remote));
      const found = signatures(metadata, ED25519_SIGNATURES);
      good.push(verifyEd25519(keys, commit.bytes, found));
    }
    return good;
  });
}

/** Which signatures a commit must have. */
interface SignatureRules {
  readonly remote: Remote;
  /** The kinds of signatures other than GPG that are required. */
  readonly kinds: readonly string[];
}

/**
 * Returns what a remote requires. Throws `NOT_FOUND` if there is no such remote, `USAGE` if it
 * requires nothing, and `UNSUPPORTED` if it requires what cannot be verified.
 */
export function signatureRules(
  repo: OstreeRepo,
  remoteName: string,
  remotesDirectory?: string,
): SignatureRules {
  const remote = loadRemote(repo, remoteName, remotesDirectory);
  const kinds = otherKinds(remote);
  if (!remote.gpgVerify && kinds.length === 0) {
    throw new OstrataError(
      'USAGE',
      `remote ${remoteName} verifies nothing: gpg-verify is false and sign-verify is not set`,
    );
  }
  return { remote, kinds };
}

/**
 * Returns the kinds of signatures other than GPG that the remote requires. Throws `UNSUPPORTED` for
 * a kind that cannot be verified.
 */
function otherKinds({ signVerify, name }: Remote): readonly string[] {
  if (typeof signVerify === 'boolean') {
    return signVerify ? ['ed25519'] : [];
  }
  for (const kind of signVerify) {
    if (kind !== 'ed25519') {
      throw new OstrataError(
        'UNSUPPORTED',
        `remote ${name} wants signatures of kind ${kind}; only ed25519 is supported`,
      );
    }
  }
  return signVerify;
}

/**
 * Returns the signatures of one kind. Throws `CORRUPT` if there are none, and `LIMIT` if there are
 * too many.
 */
function signatures(metadata: Metadata, key: string): readonly Uint8Array[] {
  const found = metadataValue<readonly Uint8Array[]>(metadata, key, SIGNATURES_TYPE) ?? [];
  if (found.length === 0) {
    throw new OstrataError('CORRUPT', `its detached metadata has no signatures ${key}`);
  }
  if (found.length > MAX_SIGNATURES) {
    throw new OstrataError('LIMIT', `${found.length} signatures ${key}, at most ${MAX_SIGNATURES}`);
  }
  return found;
}
