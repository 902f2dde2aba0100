/**
 * GPG signatures (RFC 4880) over the bytes of a commit object, verified by the installed `gpg`.
 * libostree verifies with it too (through gpgme), so that both agree on expired, revoked and weak
 * keys. Only the keys of the remote are trusted: gpg runs with a home directory that holds no
 * others.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';
import { withTemporaryDirectory } from '../../system/temporary-directory.js';
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

  return withTemporaryDirectory('ostrata-gpg-', async (home) => {
    const imported = await gpg(home, ['--import', ...keyFiles]);
    if (!/^\[GNUPG:\] IMPORT_OK /m.test(imported)) {
      throw new OstrataError('CORRUPT', `no GPG key in ${keyFiles.join(', ')}`);
    }

    const dataFile = join(home, 'data');
    const signatureFile = join(home, 'signatures');
    await writeFile(dataFile, data);
    await writeFile(signatureFile, Buffer.concat(signatures));
    return goodSignature(await gpg(home, ['--verify', signatureFile, dataFile]));
  });
}

/**
 * Returns the keyring of the remote and what `gpgkeypath` names; the global keys if it has neither.
 */
function keyFilesOf(repo: OstreeRepo, { name, gpgKeyPaths }: Remote): string[] {
  const keyrings = [repo.path, REMOTES_DIRECTORY]
    .map((directory) => join(directory, `${name}.trustedkeys.gpg`))
    .filter((path) => existsSync(path));
  const configured = gpgKeyPaths.flatMap((path) =>
    statSync(path).isDirectory() ? keyFilesIn(path) : [path],
  );
  // Only the first keyring is used: the one in the repository comes before the one in remotes.d.
  const ofRemote = [...keyrings.slice(0, 1), ...configured];
  return ofRemote.length > 0 ? ofRemote : keyFilesIn(GLOBAL_KEYS);
}

function keyFilesIn(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => /\.(gpg|asc)$/.test(name));
  return names.sort().map((name) => join(directory, name));
}

/**
 * Returns a line that names the signer of the first good signature. Throws `CORRUPT` with the
 * reasons that gpg gives if there is none.
 *
 * Status lines, https://github.com/gpg/gnupg/blob/master/doc/DETAILS: each signature begins with
 * NEWSIG and is good if GOODSIG and VALIDSIG follow. Expired and revoked keys have EXPKEYSIG and
 * REVKEYSIG instead of GOODSIG.
 */
function goodSignature(status: string): string {
  const reasons: string[] = [];
  for (const lines of status.split(/^\[GNUPG:\] NEWSIG.*$/m).slice(1)) {
    const [, goodKey, user] = /^\[GNUPG:\] GOODSIG (\S+) (.*)$/m.exec(lines) ?? [];
    if (goodKey !== undefined && /^\[GNUPG:\] VALIDSIG /m.test(lines)) {
      return `GPG: good signature by ${user} (key ${goodKey})`;
    }
    reasons.push(reasonOf(lines));
  }
  const shown = reasons.join('; ') || 'gpg found none';
  throw new OstrataError('CORRUPT', `no good GPG signature: ${shown}`);
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['BADSIG', 'the signature does not fit the commit'],
  ['ERRSIG', 'the key is not one of the remote'],
  ['EXPSIG', 'the signature has expired'],
  ['EXPKEYSIG', 'the key has expired'],
  ['REVKEYSIG', 'the key is revoked'],
]);

function reasonOf(lines: string): string {
  for (const [, keyword = '', key] of lines.matchAll(/^\[GNUPG:\] ([A-Z]+) (\S+)/gm)) {
    const reason = REASONS.get(keyword);
    if (reason !== undefined) {
      return `${reason} (key ${key})`;
    }
  }
  return 'gpg gives no reason';
}

/** Runs gpg and returns its status lines. Its exit code says less than they do. */
async function gpg(home: string, args: readonly string[]): Promise<string> {
  const options = ['--homedir', home, '--no-options', '--batch', '--no-tty'];
  options.push('--status-fd', '1', '--trust-model', 'always');
  const { stdout } = await runProgram('gpg', [...options, ...args], {
    purpose: 'verifying a GPG signature',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout;
}
