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

/** Options that keep gpg away from the configuration and the terminal of the user. */
const ISOLATION = [
  '--no-options', // no gpg.conf
  '--batch', // no questions
  '--no-tty',
];
/** Status lines go to the standard output, and every imported key counts as trusted. */
const REPORTING = [
  '--status-fd=1', // the standard output
  '--trust-model=always', // only keys of the remote are imported
];

/** Status lines of gpg that are looked for. */
const IMPORTED = /^\[GNUPG:\] IMPORT_OK /m;
const NEW_SIGNATURE = /^\[GNUPG:\] NEWSIG.*$/m;
const GOOD_SIGNATURE = /^\[GNUPG:\] GOODSIG (\S+) (.*)$/m;
const VALID_SIGNATURE = /^\[GNUPG:\] VALIDSIG /m;
const ANY_STATUS = /^\[GNUPG:\] ([A-Z]+) (\S+)/gm;

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
    if (!IMPORTED.test(imported)) {
      const names = keyFiles.join(', ');
      throw new OstrataError('CORRUPT', `no GPG key in ${names}`);
    }

    const dataFile = join(home, 'data');
    const signatureFile = join(home, 'signatures');
    await writeFile(dataFile, data);
    await writeFile(signatureFile, Buffer.concat(signatures));
    const status = await gpg(home, ['--verify', signatureFile, dataFile]);
    return goodSignature(status);
  });
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
  const [, ...signatures] = status.split(NEW_SIGNATURE);
  for (const lines of signatures) {
    const good = GOOD_SIGNATURE.exec(lines);
    if (good !== null && VALID_SIGNATURE.test(lines)) {
      const [, key, user] = good;
      return `GPG: good signature by ${user} (key ${key})`;
    }
    const reason = reasonOf(lines);
    reasons.push(reason);
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
  for (const status of lines.matchAll(ANY_STATUS)) {
    const [, keyword = '', key] = status;
    const reason = REASONS.get(keyword);
    if (reason !== undefined) {
      return `${reason} (key ${key})`;
    }
  }
  return 'gpg gives no reason';
}

/** Runs gpg and returns its status lines. Its exit code says less than they do. */
async function gpg(home: string, args: readonly string[]): Promise<string> {
  const allArguments = ['--homedir', home, ...ISOLATION, ...REPORTING, ...args];
  const { stdout } = await runProgram('gpg', allArguments, {
    purpose: 'verifying a GPG signature',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout;
}
