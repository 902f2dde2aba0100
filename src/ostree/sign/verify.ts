/**
 * Verifies the signatures of a commit, which its detached metadata holds, with the keys of a
 * remote. The rules are those of libostree (ostree_repo_signature_verify_commit_data): GPG
 * signatures are required unless the remote has `gpg-verify=false`, others if it has `sign-verify`.
 * One good GPG signature, and one good signature of any other kind, are enough.
 */
import { verify } from 'node:crypto';
import { inContext, inContextAsync, messageOf, OstrataError } from '../../errors.js';
import { decodeMetadata, type Metadata } from '../objects/commit.js';
import type { OstreeRepo } from '../repo.js';
import { verifyGpg } from './gpg.js';
import { loadRemote, type Remote } from './remote.js';
import type { SignatureKind } from './signature-kind.js';
import { GPG_SIGNATURES, SIGNATURE_KINDS, signaturesIn } from './signatures.js';
import { trustedKeys } from './trusted-keys.js';

/** A commit object and its detached metadata, as they are stored. */
export interface SignedCommit {
  readonly checksum: string;
  readonly bytes: Uint8Array;
  /** Undefined if the commit has none. */
  readonly detached: Uint8Array | undefined;
}

/**
 * Returns a line for each good signature that was required, which names the signer. Throws
 * `CORRUPT` unless there are good ones; for other errors see {@link signatureRules}.
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
      const found = signaturesIn(metadata, GPG_SIGNATURES);
      if (found.length === 0) {
        throw noSignatures(GPG_SIGNATURES);
      }
      good.push(await verifyGpg(repo, remote, commit.bytes, found));
    }
    if (kinds.length > 0) {
      good.push(verifyByKeys(kinds, remote, commit.bytes, metadata));
    }
    return good;
  });
}

/** Which signatures a commit must have. */
interface SignatureRules {
  readonly remote: Remote;
  /** If there are any, a good signature of one of these kinds is required. */
  readonly kinds: readonly SignatureKind[];
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
 * Returns the kinds of signatures other than GPG that the remote accepts. Throws `UNSUPPORTED` for
 * a kind that cannot be verified.
 */
function otherKinds({ signVerify, name }: Remote): readonly SignatureKind[] {
  if (typeof signVerify === 'boolean') {
    return signVerify ? SIGNATURE_KINDS : [];
  }
  return signVerify.map((wanted) => {
    const kind = SIGNATURE_KINDS.find((each) => each.name === wanted);
    if (kind === undefined) {
      const known = SIGNATURE_KINDS.map((each) => each.name).join(' and ');
      throw new OstrataError(
        'UNSUPPORTED',
        `remote ${name} wants signatures of kind ${wanted}; ${known} are supported`,
      );
    }
    return kind;
  });
}

/**
 * Returns a line that names the key of the first good signature. Throws `CORRUPT` if no signature
 * is good.
 */
function verifyByKeys(
  kinds: readonly SignatureKind[],
  remote: Remote,
  commit: Uint8Array,
  metadata: Metadata,
): string {
  const failures: unknown[] = [];
  for (const kind of kinds) {
    const signatures = signaturesIn(metadata, kind.metadataKey);
    try {
      if (signatures.length > 0) {
        const keys = inContext(`${kind.name} keys`, () => trustedKeys(kind, remote.keysFor(kind)));
        return verifyKind(kind, keys, commit, signatures);
      }
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 0) {
    throw noSignatures(kinds.map(({ metadataKey }) => metadataKey).join(' or '));
  }
  const cause = failures.length === 1 ? failures[0] : new AggregateError(failures);
  throw new OstrataError('CORRUPT', failures.map(messageOf).join('; '), { cause });
}

function verifyKind(
  kind: SignatureKind,
  keys: readonly string[],
  commit: Uint8Array,
  signatures: readonly Uint8Array[],
): string {
  const { name, signatureSize } = kind;
  for (const signature of signatures) {
    if (signature.length !== (signatureSize ?? signature.length)) {
      throw new OstrataError(
        'CORRUPT',
        `${name} signature of ${signature.length} bytes instead of ${signatureSize}`,
      );
    }
    const signer = keys.find((key) => verify(null, commit, kind.publicKey(key), signature));
    if (signer !== undefined) {
      return `${name}: good signature by key ${signer}`;
    }
  }
  throw new OstrataError('CORRUPT', `no good ${name} signature by any of ${keys.length} keys`);
}

function noSignatures(key: string): OstrataError {
  return new OstrataError('CORRUPT', `its detached metadata has no signatures ${key}`);
}
