/**
 * GPG signatures (RFC 4880) over the bytes of the commit object, verified by the installed `gpg`: libostree verifies with
 * it too (through gpgme), so that both come to one verdict on expired, revoked and weak keys. All keys of the remote's
 * keyring are trusted, no others: gpg runs in a home of its own.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';
import { withTemporaryDirectory } from '../../system/temporary-directory.js';
import type { OstreeRepo } from '../repo.js';
import { REMOTES_DIRECTORY, type Remote } from './remote.js';

/** Keys for all remotes that have no keyring of their own. */
const GLOBAL_KEYS = process.env.OSTREE_GPG_HOME ?? '/usr/share/ostree/trusted.gpg.d';

/** A line that names the signer; throws `CORRUPT` with gpg's reasons where no signature is good. */
export async function verifyGpg(
  repo: OstreeRepo,
  remote: Remote,
  data: Uint8Array,
  signatures: readonly Uint8Array[],
): Promise<string> {
  return withTemporaryDirectory('ostrata-gpg-', async (home) => {
    const keyFiles = keyFilesOf(repo, remote);
    if (keyFiles.length === 0) {
      throw new OstrataError('NOT_FOUND', `remote ${remote.name} has no GPG keys`);
    }
    const imported = await gpg(home, ['--import', ...keyFiles]);
    if (!/^\[GNUPG:\] IMPORT_OK /m.test(imported)) {
      throw new OstrataError('CORRUPT', `no GPG key in ${keyFiles.join(', ')}`);
    }
    await writeFile(join(home, 'data'), data);
    await writeFile(join(home, 'signatures'), Buffer.concat(signatures));
    return verdict(await gpg(home, ['--verify', join(home, 'signatures'), join(home, 'data')]));
  });
}

/** The remote's keyring beside the repository's config or in remotes.d, and what `gpgkeypath` names; else the global keys. */
function keyFilesOf(repo: OstreeRepo, { name, gpgKeyPaths }: Remote): string[] {
  const keyring = [repo.path, REMOTES_DIRECTORY]
    .map((directory) => join(directory, `${name}.trustedkeys.gpg`))
    .find((path) => existsSync(path));
  const configured = gpgKeyPaths.flatMap((path) =>
    statSync(path).isDirectory() ? filesOf(path) : [path],
  );
  const own = [...(keyring === undefined ? [] : [keyring]), ...configured];
  return own.length > 0 ? own : filesOf(GLOBAL_KEYS);
}

function filesOf(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => /\.(gpg|asc)$/.test(name));
  return names.sort().map((name) => join(directory, name));
}

/**
 * Status lines, https://github.com/gpg/gnupg/blob/master/doc/DETAILS: each signature begins with NEWSIG and is good where
 * GOODSIG and VALIDSIG follow; expired and revoked keys have EXPKEYSIG and REVKEYSIG instead of GOODSIG.
 */
function verdict(status: string): string {
  const parts = status.split(/^\[GNUPG:\] NEWSIG.*$/m).slice(1);
  const reasons: string[] = [];
  for (const part of parts) {
    const [, id, user] = /^\[GNUPG:\] GOODSIG (\S+) (.*)$/m.exec(part) ?? [];
    if (id !== undefined && /^\[GNUPG:\] VALIDSIG /m.test(part)) {
      return `GPG: good signature by ${user} (key ${id})`;
    }
    const [, reason, key = ''] =
      /^\[GNUPG:\] (BADSIG|ERRSIG|EXPSIG|EXPKEYSIG|REVKEYSIG) (\S+)/m.exec(part) ?? [];
    reasons.push(reason === undefined ? 'no verdict' : `${REASONS[reason]} (key ${key})`);
  }
  throw new OstrataError(
    'CORRUPT',
    `no good GPG signature: ${reasons.join('; ') || 'gpg found none'}`,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  BADSIG: 'the signature does not fit the commit',
  ERRSIG: 'the key is not one of the remote',
  EXPSIG: 'the signature has expired',
  EXPKEYSIG: 'the key has expired',
  REVKEYSIG: 'the key is revoked',
};

/** Standard output: the status lines. gpg's exit code says less than they do. */
async function gpg(home: string, args: readonly string[]): Promise<string> {
  const options = [
    '--homedir',
    home,
    '--no-options',
    '--batch',
    '--no-tty',
    '--status-fd',
    '1',
    '--trust-model',
    'always',
  ];
  const env = { ...process.env, LC_ALL: 'C' };
  return (
    await runProgram('gpg', [...options, ...args], { purpose: 'verifying a GPG signature', env })
  ).stdout;
}
