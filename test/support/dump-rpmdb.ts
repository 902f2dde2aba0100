/**
 * Dumps a package database as text in a form that `rpm -qa --qf` can print too, to compare the two.
 * Paths need not be UTF-8, so dumps are Buffers and compared byte for byte.
 */
import type { RpmFile, RpmPackage } from '../../plugins/rpm/rpmdb/index.js';

/**
 * The format for `rpm -qa --qf`: for each package one line that begins with `=`, then a line for
 * each file.
 */
export const DUMP_FORMAT =
  '=%{NEVRA}\\t%{SOURCERPM}\\t%{LONGSIZE}\\t%{BUILDTIME}\\t%{INSTALLTIME}\\t' +
  '%{MODULARITYLABEL}\\t[%{CHANGELOGTIME},]\\n' +
  '[%{FILENAMES}\\t%{LONGFILESIZES}\\t%{FILEMODES}\\t%{FILEDIGESTS}\\t%{FILEFLAGS}\\t' +
  '%{FILEUSERNAME}\\t' +
  '%{FILEGROUPNAME}\\t%{FILELINKTOS}\\t%{FILESTATES}\\n]';

const STATE_NUMBERS: Readonly<Record<RpmFile['state'], number>> = {
  normal: 0,
  replaced: 1,
  'not-installed': 2,
  'net-shared': 3,
  'wrong-color': 4,
  missing: 255,
};

/** Prints one package as {@link DUMP_FORMAT} does. */
export function dumpPackage(pkg: RpmPackage): Buffer {
  const none = (value: string | number | undefined) =>
    value === undefined ? '(none)' : String(value);
  const changes = pkg.changelogTimes.map((time) => `${time},`).join('');
  const lines: Uint8Array[] = [
    Buffer.from(
      `=${pkg.nevra}\t${none(pkg.sourceRpm)}\t${pkg.size}\t` +
        `${none(pkg.buildTime)}\t${none(pkg.installTime)}\t` +
        `${none(pkg.modularityLabel)}\t${changes}\n`,
    ),
  ];
  for (const file of pkg.files()) {
    lines.push(
      file.pathBytes,
      Buffer.from(
        `\t${file.size}\t${file.mode}\t${file.digest}\t` +
          `${file.flags}\t${file.user}\t${file.group}\t`,
      ),
      file.linkTo,
      Buffer.from(`\t${STATE_NUMBERS[file.state]}\n`),
    );
  }
  return Buffer.concat(lines);
}

/** What rpm prints for some packages that have no files. */
const NO_FILES = Buffer.from(`${'(none)\t'.repeat(8)}(none)\n`);

/**
 * Cuts a dump by rpm into packages and sorts them, because the order of `rpm -qa` is not defined.
 */
export function splitDump(dump: Buffer): Buffer[] {
  const packages: Buffer[] = [];
  let start = 0;
  while (start < dump.length) {
    const next = dump.indexOf('\n=', start);
    const end = next < 0 ? dump.length : next + 1;
    const pkg = dump.subarray(start, end);
    const without = pkg.length - NO_FILES.length;
    packages.push(
      pkg.subarray(Math.max(0, without)).equals(NO_FILES) ? pkg.subarray(0, without) : pkg,
    );
    start = end;
  }
  return packages.sort(Buffer.compare);
}

/**
 * Returns the first line in which two sorted dumps differ, for messages; undefined if they are
 * equal.
 */
export function firstDifference(
  ours: readonly Buffer[],
  theirs: readonly Buffer[],
): string | undefined {
  const lines = (dump: readonly Buffer[], i: number) =>
    dump[i]?.toString('latin1').split('\n') ?? [];
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    if (ours[i] && theirs[i] && ours[i]?.equals(theirs[i] as Buffer)) {
      continue;
    }
    const [left, right] = [lines(ours, i), lines(theirs, i)];
    const at = left.findIndex((line, j) => line !== right[j]);
    return `package ${i}: ${left[at] ?? 'missing'} <-> ${right[at] ?? 'missing'}`;
  }
  return undefined;
}
