/**
 * Detached OpenPGP signatures (RFC 4880), made and verified by the installed `gpg`. When it
 * verifies, only the given keys are trusted: it runs with a home directory that holds no others.
 */
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OstrataError } from '../errors.js';
import { type ProgramRun, runProgram } from './program.js';
import { withTemporaryDirectory } from './temporary-directory.js';

/** Options that keep gpg away from the configuration and the terminal of the user. */
const ISOLATION = [
  '--no-options', // no gpg.conf
  '--batch', // no questions
  '--no-tty',
];
/** Status lines go to the standard output, and every imported key counts as trusted. */
const REPORTING = [
  '--status-fd=1', // the standard output
  '--trust-model=always', // only the given keys are imported
];

/** Status lines of gpg that are looked for. */
const IMPORTED = /^\[GNUPG:\] IMPORT_OK /m;
const NEW_SIGNATURE = /^\[GNUPG:\] NEWSIG.*$/m;
const GOOD_SIGNATURE = /^\[GNUPG:\] GOODSIG (\S+) (.*)$/m;
const VALID_SIGNATURE = /^\[GNUPG:\] VALIDSIG /m;
const ANY_STATUS = /^\[GNUPG:\] ([A-Z_]+) (\S+)/gm;

/** What gpg says of one signature. */
export interface GpgVerdict {
  /**
   * `bad` also for a key that has expired or was revoked; `unknown-key` also for an algorithm that
   * gpg does not accept.
   */
  readonly state: 'good' | 'bad' | 'unknown-key';
  /** The id of the key, 16 hexadecimal digits; undefined if gpg does not name one. */
  readonly key?: string | undefined;
  /** The name of the signer if the signature is good, otherwise the reason. */
  readonly text: string;
}

/** Verifies signatures over `data`. Returns a verdict for each signature that gpg found. */
export type VerifySignatures = (
  data: Uint8Array,
  signatures: Uint8Array,
) => Promise<readonly GpgVerdict[]>;

/**
 * Runs `use` with the keys of some files. Throws `CORRUPT` if there is no key in them, and
 * `UNSUPPORTED` if gpg is not installed.
 */
export function withGpgKeys<T>(
  keyFiles: readonly string[],
  use: (verify: VerifySignatures) => Promise<T>,
): Promise<T> {
  return withTemporaryDirectory('ostrata-gpg-', async (home) => {
    const imported = await gpg(home, ['--import', '--', ...keyFiles]);
    if (!IMPORTED.test(imported)) {
      const names = keyFiles.join(', ');
      throw new OstrataError('CORRUPT', `no GPG key in ${names}`);
    }

    let count = 0;
    return use(async (data, signatures) => {
      count++;
      const dataFile = join(home, `data-${count}`);
      const signatureFile = join(home, `signatures-${count}`);
      await writeFile(dataFile, data);
      await writeFile(signatureFile, signatures);
      const status = await gpg(home, ['--verify', signatureFile, dataFile]);
      await unlink(dataFile);
      await unlink(signatureFile);
      return verdictsOf(status);
    });
  });
}

/**
 * Status lines, https://github.com/gpg/gnupg/blob/master/doc/DETAILS: each signature begins with
 * NEWSIG and is good if GOODSIG and VALIDSIG follow. Expired and revoked keys have EXPKEYSIG and
 * REVKEYSIG instead of GOODSIG.
 */
function verdictsOf(status: string): readonly GpgVerdict[] {
  const [, ...signatures] = status.split(NEW_SIGNATURE);
  return signatures.map((lines) => {
    const good = GOOD_SIGNATURE.exec(lines);
    if (good !== null && VALID_SIGNATURE.test(lines)) {
      const [, key, text = ''] = good;
      return { state: 'good', key, text };
    }
    return failureOf(lines);
  });
}

type Failure = readonly [keyword: string, state: GpgVerdict['state'], text: string];

/** Status lines of signatures that are not good; of several, the first one here counts. */
const FAILURES: readonly Failure[] = [
  ['BADSIG', 'bad', 'the signature does not fit the content'],
  ['EXPSIG', 'bad', 'the signature has expired'],
  ['EXPKEYSIG', 'bad', 'the key has expired'],
  ['REVKEYSIG', 'bad', 'the key is revoked'],
  ['NO_PUBKEY', 'unknown-key', 'the key is not one of the trusted ones'],
  // Also printed before NO_PUBKEY.
  ['ERRSIG', 'unknown-key', 'gpg does not accept the algorithms of the signature'],
];

function failureOf(lines: string): GpgVerdict {
  const keys = new Map<string, string | undefined>();
  for (const [, keyword = '', key] of lines.matchAll(ANY_STATUS)) {
    keys.set(keyword, key);
  }
  const failure = FAILURES.find(([keyword]) => keys.has(keyword));
  if (failure === undefined) {
    return { state: 'bad', text: 'gpg gives no reason' };
  }
  const [keyword, state, text] = failure;
  return { state, key: keys.get(keyword), text };
}

/** Runs gpg and returns its status lines. Its exit code says less than they do. */
async function gpg(home: string, args: readonly string[]): Promise<string> {
  const allArguments = ['--homedir', home, ...ISOLATION, ...REPORTING, ...args];
  const { stdout } = await runGpg(allArguments, 'verifying a GPG signature');
  return stdout;
}

/**
 * Returns the signature that a secret key of the user makes over `data`. gpg reads its
 * configuration and may ask for a passphrase. Throws `IO` with its last message if it fails.
 * @param key what gpg takes as the name of a key
 * @param home the directory of GnuPG; by default that of the user
 */
export function signWithGpg(data: Uint8Array, key: string, home?: string): Promise<Uint8Array> {
  return withTemporaryDirectory('ostrata-gpg-', async (directory) => {
    const dataFile = join(directory, 'data');
    const signatureFile = join(directory, 'signature');
    await writeFile(dataFile, data);
    const homeOptions = home === undefined ? [] : ['--homedir', home];
    const signing = ['--batch', '--local-user', key, '--output', signatureFile];
    const args = [...homeOptions, ...signing, '--detach-sign', dataFile];
    const { code, stderr } = await runGpg(args, 'signing with GPG');
    if (code !== 0) {
      const [message] = stderr.trim().split('\n').slice(-1);
      throw new OstrataError('IO', message || `gpg ended with exit code ${code}`);
    }
    return readFile(signatureFile);
  });
}

function runGpg(args: readonly string[], purpose: string): Promise<ProgramRun> {
  return runProgram('gpg', args, {
    purpose,
    packages: 'gpg or gnupg2',
    env: { ...process.env, LC_ALL: 'C' },
  });
}
