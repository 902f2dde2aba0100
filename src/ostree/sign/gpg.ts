/**
 * GPG signatures (RFC 4880) over the bytes of a commit object, verified by the installed `gpg`.
 * libostree verifies with it too (through gpgme), so that both agree on expired, revoked and weak
 * keys. Only the keys of the remote are trusted.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import { type GpgVerdict, withGpgKeys } from '../../system/gpg.js';
import type { OstreeRepo } from '../repo.js';
import { REMOTES_DIRECTORY, type Remote } from './remote.js';

/** Directory of the keys for all remotes that configure none. */
const GLOBAL_KEYS = process.env.OSTREE_GPG_HOME ?? '/usr/share/ostree/trusted.gpg.d';

/**
 * Returns a line that names the signer. Throws `CORRUPT` with the reasons of gpg if no signature is
 * good, and `NOT_FOUND` if the remote has no keys.
 */
export async function verifyGpg(
  repo: OstreeRepo,
  remote: Remote,
  data: Uint8Array,
  signatures: readonly Uint8Array[],
): Promise<string> {
  const keyFiles = keyFilesOf(repo, remote);
  if (keyFiles.length === 0) {
    throw new OstrataError('NOT_FOUND', `remote ${remote.name} has no GPG keys`);
  }

  const verdicts = await withGpgKeys(keyFiles, (verify) => verify(data, Buffer.concat(signatures)));
  const good = verdicts.find(({ state }) => state === 'good');
  if (good !== undefined) {
    return `GPG: good signature by ${good.text} (key ${good.key})`;
  }
  const reasons = verdicts.map(reasonOf);
  const shown = reasons.join('; ') || 'gpg found none';
  throw new OstrataError('CORRUPT', `no good GPG signature: ${shown}`);
}

function reasonOf({ text, key }: GpgVerdict): string {
  return key === undefined ? text : `${text} (key ${key})`;
}

/**
 * Returns the keyring of the remote and what `gpgkeypath` names; the global keys if it has neither.
 */
function keyFilesOf(repo: OstreeRepo, { name, gpgKeyPaths }: Remote): string[] {
  const keyring = keyringOf(repo, name);
  const ofRemote = keyring === undefined ? [] : [keyring];
  for (const path of gpgKeyPaths) {
    const isDirectory = statSync(path).isDirectory();
    const files = isDirectory ? keyFilesIn(path) : [path];
    ofRemote.push(...files);
  }
  return ofRemote.length > 0 ? ofRemote : keyFilesIn(GLOBAL_KEYS);
}

/** Returns the keyring in the repository, or else the one in remotes.d: only one is used. */
function keyringOf(repo: OstreeRepo, remote: string): string | undefined {
  const name = `${remote}.trustedkeys.gpg`;
  const places = [join(repo.path, name), join(REMOTES_DIRECTORY, name)];
  return places.find((path) => existsSync(path));
}

function keyFilesIn(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory)
    .filter((name) => /\.(gpg|asc)$/.test(name))
    .sort();
  return names.map((name) => join(directory, name));
}
