/** `ostrata rpmdb verify-signatures`: verifies the signatures of package headers by given keys. */
import { accessSync, constants } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { type RpmPackage, signedHeader } from '../../../plugins/rpm/rpmdb/index.js';
import { inContext, must, OstrataError } from '../../errors.js';
import { startWork } from '../../log.js';
import { type GpgVerdict, type VerifySignatures, withGpgKeys } from '../../system/gpg.js';
import { repeated } from '../options/values.js';
import { counted } from '../output/format.js';
import { printable } from '../output/print.js';
import { type JsonOptions, type Output, textLine, wantsJson } from './output.js';
import { Selection, type SelectionOptions } from './select.js';
import type { Source } from './source.js';

/** `--keyring`. */
export function keyringOption(command: Command): Command {
  return command.option(
    '--keyring <file>',
    'OpenPGP keys to trust, such as those in /etc/pki/rpm-gpg (repeatable; required)',
    repeated,
  );
}

export const SIGNATURES_HELP = `
A line is printed for each package whose signature is not good, then a summary. The exit code is 1
if any signature is bad, or made by a key that is not in a keyring, and if any package is unsigned.
Signatures are those of headers, which hold the digests of all files; ostrata rpmdb verify compares
these with a tree. Keys in the database (gpg-pubkey) are not checked and not trusted. Needs gpg.

Example:
  ostrata rpmdb verify-signatures --image oci:os --keyring /etc/pki/rpm-gpg/RPM-GPG-KEY-fedora`;

export interface SignaturesOptions extends SelectionOptions, JsonOptions {
  readonly keyring?: readonly string[] | undefined;
}

type State = GpgVerdict['state'] | 'unsigned';

interface SignatureResult {
  readonly nevra: string;
  readonly state: State;
  /** The id of the key, as rpm prints it. */
  readonly keyId?: string | undefined;
  /** The signer of a good signature. */
  readonly signer?: string | undefined;
  /** Why the signature is not good. */
  readonly reason?: string | undefined;
}

/** Exit code 1 unless all packages have a good signature. */
export async function verifySignatures(
  source: Source,
  options: SignaturesOptions,
): Promise<Output> {
  const { keyring } = options;
  if (keyring === undefined) {
    throw new OstrataError('USAGE', 'give the keys to trust: --keyring FILE');
  }
  for (const file of keyring) {
    inContext('reading keys', () => accessSync(file, constants.R_OK));
  }
  const selection = new Selection(source, options);
  const packages = selection.sorted().filter(({ arch }) => arch !== undefined);
  const results = await withGpgKeys(keyring, (verify) => resultsOf(packages, source, verify));
  if (results.some(({ state }) => state !== 'good')) {
    process.exitCode = 1;
  }
  return output(results, selection, options);
}

function* output(
  results: readonly SignatureResult[],
  selection: Selection,
  options: SignaturesOptions,
): Output {
  if (wantsJson(options)) {
    yield* results;
  } else {
    const failed = results.filter(({ state }) => state !== 'good');
    yield* failed.map(failureLine);
    yield textLine(summary(results));
  }
  selection.throwIfUnmet();
}

function failureLine({ nevra, reason, keyId }: SignatureResult): string {
  const ofKey = keyId === undefined ? '' : ` (key ${keyId})`;
  return textLine(printable(`${nevra}: ${reason}${ofKey}`));
}

function summary(results: readonly SignatureResult[]): string {
  const count = (wanted: State) => results.filter(({ state }) => state === wanted).length;
  const total = counted(results.length, 'package');
  const counts = [
    `${count('good')} with a good signature`,
    `${count('bad')} with a bad one`,
    `${count('unknown-key')} with a key that is not trusted`,
    `${count('unsigned')} unsigned`,
  ];
  return `${total}: ${counts.join(', ')}`;
}

/** Verifies the packages, as many at a time as there are processors: gpg takes one at a time. */
async function resultsOf(
  packages: readonly RpmPackage[],
  { packages: sound, log }: Source,
  verify: VerifySignatures,
): Promise<readonly SignatureResult[]> {
  const results: (SignatureResult | undefined)[] = [];
  const waiting = packages.entries();
  const work = startWork(log, 'verifying', packages.length, 'packages');
  const verifyInTurn = async () => {
    for (const [i, pkg] of waiting) {
      const [signed] = sound.map([pkg], ({ header }) => ({ header: signedHeader(header) }));
      results[i] = signed && { nevra: pkg.nevra, ...(await verdictOf(signed.header, verify)) };
      work.advance(1);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, verifyInTurn));
  work.end();
  return results.filter((result) => result !== undefined);
}

/** All signatures of a header must be good, except those whose keys are unknown if one is good. */
async function verdictOf(
  header: ReturnType<typeof signedHeader>,
  verify: VerifySignatures,
): Promise<Omit<SignatureResult, 'nevra'>> {
  if (header === undefined) {
    return { state: 'unsigned', reason: 'unsigned' };
  }
  const verdicts: GpgVerdict[] = [];
  for (const signature of header.signatures) {
    const [verdict] = await verify(header.bytes, signature);
    verdicts.push(verdict ?? { state: 'bad', text: 'the signature cannot be read' });
  }
  const withState = (wanted: State) => verdicts.find(({ state }) => state === wanted);
  const bad = withState('bad');
  const good = withState('good');
  if (bad === undefined && good !== undefined) {
    return { state: 'good', keyId: good.key?.toLowerCase(), signer: good.text };
  }
  const { state, key, text } = must(bad ?? verdicts[0], 'the verdict of a signature');
  return { state, keyId: key?.toLowerCase(), reason: text };
}
