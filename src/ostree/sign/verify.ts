/**
 * Signatures of a commit, kept in its detached metadata, by the keys of a remote: the rules of libostree
 * (ostree_repo_signature_verify_commit_data). GPG signatures are wanted unless the remote says `gpg-verify=false`, others
 * where it says `sign-verify`; of each kind that is wanted one good signature must be there.
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
/** Each is one verification; real commits have one or two. */
const MAX_SIGNATURES = 64;

/** A commit object and its detached metadata, as they are stored. */
export interface SignedCommit {
  readonly checksum: string;
  readonly bytes: Uint8Array;
  /** Undefined where it has none. */
  readonly detached: Uint8Array | undefined;
}

/** Who signed it, one line a kind of signature. Throws `CORRUPT` unless the keys of `remoteName` say that the commit is good. */
export async function verifySignatures(
  repo: OstreeRepo,
  remoteName: string,
  commit: SignedCommit,
  remotesDirectory?: string,
): Promise<readonly string[]> {
  const remote = loadRemote(repo, remoteName, remotesDirectory);
  const kinds = otherKinds(remote);
  if (!remote.gpgVerify && kinds.length === 0) {
    throw new OstrataError(
      'USAGE',
      `remote ${remoteName} verifies nothing: gpg-verify is false and sign-verify is not set`,
    );
  }
  return inContextAsync(`commit ${commit.checksum}, signed by remote ${remoteName}`, async () => {
    if (commit.detached === undefined) {
      throw new OstrataError('CORRUPT', 'it has no detached metadata, so no signature');
    }
    const metadata = decodeMetadata(commit.detached);
    const good: string[] = [];
    if (remote.gpgVerify) {
      good.push(await verifyGpg(repo, remote, commit.bytes, signatures(metadata, GPG_SIGNATURES)));
    }
    if (kinds.length > 0) {
      const keys = inContext('ed25519 keys', () => ed25519Keys(remote));
      good.push(verifyEd25519(keys, commit.bytes, signatures(metadata, ED25519_SIGNATURES)));
    }
    return good;
  });
}

function otherKinds({ signVerify, name }: Remote): readonly string[] {
  if (typeof signVerify === 'boolean') {
    return signVerify ? ['ed25519'] : [];
  }
  for (const kind of signVerify) {
    if (kind !== 'ed25519') {
      throw new OstrataError(
        'UNSUPPORTED',
        `remote ${name} wants signatures of kind ${kind}, known is ed25519`,
      );
    }
  }
  return signVerify;
}

function signatures(metadata: Metadata, key: string): readonly Uint8Array[] {
  const found = (metadataValue(metadata, key, SIGNATURES_TYPE) ?? []) as readonly Uint8Array[];
  if (found.length === 0) {
    throw new OstrataError('CORRUPT', `its detached metadata has no signatures ${key}`);
  }
  if (found.length > MAX_SIGNATURES) {
    throw new OstrataError('LIMIT', `${found.length} signatures ${key}, at most ${MAX_SIGNATURES}`);
  }
  return found;
}
