/** `ostrata rpmdb verify`: compares the files of packages with a tree. */
import type { Command } from 'commander';
import {
  conversionByName,
  FileFlag,
  type FileVerdict,
  findOwners,
  type RpmFile,
  type RpmPackage,
  VERIFY_LETTERS,
  Verifier,
  VerifyBit,
  type VerifyLetter,
} from '../../../plugins/rpm/rpmdb/index.js';
import { OstrataError } from '../../errors.js';
import type { ReadableTree } from '../../tree/lookup.js';
import { type JsonOptions, type Output, pathLine, wantsJson } from './output.js';
import { jsonPath } from './report.js';
import { Selection, type SelectionOptions } from './select.js';
import type { Source } from './source.js';

/** rpm's options that leave an attribute out, and the letter of that attribute. */
const OMITTING: Readonly<Record<string, VerifyLetter>> = {
  nosize: 'S',
  nomode: 'M',
  nofiledigest: '5',
  nordev: 'D',
  nolinkto: 'L',
  nouser: 'U',
  nogroup: 'G',
  nomtime: 'T',
  nocaps: 'P',
};

/** What a letter is called in JSON. */
const ATTRIBUTES: Readonly<Record<VerifyLetter, string>> = {
  S: 'size',
  M: 'mode',
  '5': 'digest',
  D: 'device',
  L: 'link',
  U: 'user',
  G: 'group',
  T: 'mtime',
  P: 'capabilities',
};

/** `--nosize`, `--noconfig` and the like; an option is named as in rpm. */
export function omittingOptions(command: Command): Command {
  command.optionsGroup('Left out of the comparison:');
  for (const [name, letter] of Object.entries(OMITTING)) {
    command.option(`--${name}`, `${letter}: ${ATTRIBUTES[letter]}`);
  }
  return command
    .option('--noconfig', 'files that are marked as configuration')
    .option('--noghost', 'files that packages own but do not contain');
}

export const VERIFY_HELP = `
The output is that of rpm -V --nodeps --noscripts: a line for each file that differs. Letters say
what differs: S size, M mode, 5 digest, D device, L link, U user, G group, T time, P capabilities;
c, d, g, l and the like mark configuration, documentation, ghosts and licenses. The exit code is 1
if a file differs or is missing.

Files that ostree moved, such as those in /etc to /usr/etc, are found where they are; in a commit,
whose /var is empty until the first boot, no file of /var is missing. Times are compared in folders
only, and a time of 0 is not compared: ostree records none. Users and groups are those of the tree.
Devices, pipes, sockets and names that are not UTF-8 are not checked.`;

export interface VerifyOptions extends SelectionOptions, JsonOptions {
  readonly noconfig?: boolean | undefined;
  readonly noghost?: boolean | undefined;
}

interface PackageVerdicts {
  readonly pkg: RpmPackage;
  readonly verdicts: readonly FileVerdict[];
}

/** Exit code 1 if any file differs. */
export async function verify(source: Source, options: VerifyOptions): Promise<Output> {
  const { packages, log, name } = source;
  const tree = readableTree(source);
  const selection = new Selection(source, options);
  const selected = selection.isEmpty ? selection.sorted() : selection.inGivenOrder();
  const withFiles = packages.map(selected, (pkg) => {
    const files = [...pkg.files()];
    return { pkg, files: files.filter((file) => isWanted(file, options)) };
  });
  const compared = [...withFiles];

  const verifier = await Verifier.open(tree, omittedBits(options));
  await verifier.readDigests(compared.flatMap(({ files }) => files));
  const all = compared.map(({ pkg, files }) => {
    const verdicts = verifier.verify(files);
    return { pkg, verdicts: [...verdicts] };
  });
  const found = withoutSharedTimes(all, source, tree);
  if (!verifier.hasTimes && !('nomtime' in options)) {
    log.warn(`${name}: times are not compared, because the files have none`);
  }
  const verdicts = found.flatMap((each) => each.verdicts);
  if (verdicts.some(isDifferent)) {
    process.exitCode = 1;
  }
  return output(found, selection, options);
}

function* output(
  found: readonly PackageVerdicts[],
  selection: Selection,
  options: VerifyOptions,
): Output {
  if (wantsJson(options)) {
    for (const { pkg, verdicts } of found) {
      yield* verdicts.map(jsonVerdict(pkg));
    }
  } else {
    const verdicts = found.flatMap((each) => each.verdicts);
    yield* verdicts.map(verdictLine);
  }
  selection.throwIfUnmet();
}

function readableTree({ tree }: Source): ReadableTree {
  const readFiles = tree?.readFiles;
  if (tree === undefined || readFiles === undefined) {
    throw new OstrataError('USAGE', 'verify needs a tree: give --root, --repo or --image');
  }
  return { ...tree, readFiles };
}

function omittedBits(options: VerifyOptions): number {
  let bits = 0;
  for (const [name, letter] of Object.entries(OMITTING)) {
    if (name in options) {
      bits |= VerifyBit[letter];
    }
  }
  return bits;
}

function isWanted({ flags, isGhost }: RpmFile, { noconfig, noghost }: VerifyOptions): boolean {
  const isConfig = (flags & FileFlag.CONFIG) !== 0;
  if (noconfig && isConfig) {
    return false;
  }
  return !(noghost && isGhost);
}

/** The time of a file that several packages own is that of the last one installed. */
function withoutSharedTimes(
  all: readonly PackageVerdicts[],
  { packages }: Source,
  { files }: ReadableTree,
): readonly PackageVerdicts[] {
  const verdicts = all.flatMap(({ verdicts }) => verdicts);
  const late = verdicts.filter(({ differences }) => differences.includes('T'));
  const paths = late.map(({ file }) => file.path ?? '');
  const answers = findOwners(packages.all(), files, paths, packages.onError);
  const shared = answers.filter(({ owners }) => owners.length > 1);
  const sharedPaths = new Set(shared.map(({ path }) => path));

  return all.map(({ pkg, verdicts }) => {
    const corrected = verdicts.map((verdict) => {
      const isShared = sharedPaths.has(verdict.file.path ?? '');
      return isShared ? withoutTime(verdict) : verdict;
    });
    return { pkg, verdicts: corrected.filter(isReported) };
  });
}

function withoutTime(verdict: FileVerdict): FileVerdict {
  const differences = verdict.differences.filter((letter) => letter !== 'T');
  return { ...verdict, differences };
}

function isReported(verdict: FileVerdict): boolean {
  return isDifferent(verdict) || verdict.file.state === 'replaced';
}

function isDifferent({ isMissing, differences }: FileVerdict): boolean {
  return isMissing || differences.length > 0;
}

/** Returns the letters of a file's attributes, as rpm orders them. */
const marksOf = conversionByName('fflags');

function verdictLine({ file, isMissing, differences, isUnreadable }: FileVerdict): string {
  const [mark = ' '] = marksOf(file.flags);
  const letters = VERIFY_LETTERS.map((letter) => {
    if (!differences.includes(letter)) {
      return '.';
    }
    return letter === '5' && isUnreadable ? '?' : letter;
  });
  const result = isMissing ? 'missing   ' : `${letters.join('')}  `;
  const end = file.state === 'replaced' ? ' (replaced)' : '';
  const line = Buffer.concat([Buffer.from(`${result}${mark} `), file.pathBytes, Buffer.from(end)]);
  return pathLine(line);
}

function jsonVerdict(pkg: RpmPackage): (verdict: FileVerdict) => object {
  return ({ file, isMissing, differences }) => ({
    nevra: pkg.nevra,
    path: jsonPath(file),
    marks: marksOf(file.flags),
    state: file.state,
    isMissing,
    differences: differences.map((letter) => ATTRIBUTES[letter]),
  });
}
