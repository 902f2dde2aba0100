/**
 * One text form of everything the reader promises, which `rpm -qa --qf` can print too: what both print must be equal.
 * Byte for byte (paths need not be UTF-8), therefore Buffers.
 */
import type { RpmFile, RpmPackage } from '../../plugins/rpm/rpmdb/index.js';

/** For `rpm -qa --qf`: per package one line `=package`, then a line per file. */
export const DUMP_FORMAT =
  '=%{NEVRA}\\t%{SOURCERPM}\\t%{LONGSIZE}\\t%{BUILDTIME}\\t%{INSTALLTIME}\\t%{MODULARITYLABEL}\\t[%{CHANGELOGTIME},]\\n' +
  '[%{FILENAMES}\\t%{LONGFILESIZES}\\t%{FILEMODES}\\t%{FILEDIGESTS}\\t%{FILEFLAGS}\\t%{FILEUSERNAME}\\t' +
  '%{FILEGROUPNAME}\\t%{FILELINKTOS}\\t%{FILESTATES}\\n]';

const STATE_NUMBERS: Readonly<Record<RpmFile['state'], number>> = {
  normal: 0,
  replaced: 1,
  'not-installed': 2,
  'net-shared': 3,
  'wrong-color': 4,
  missing: 255,
};

/** {@link DUMP_FORMAT} of one package. */
export function dumpPackage(pkg: RpmPackage): Buffer {
  const none = (value: string | number | undefined) =>
    value === undefined ? '(none)' : String(value);
  const changes = pkg.changelogTimes.map((time) => `${time},`).join('');
  const lines: Uint8Array[] = [
    Buffer.from(
      `=${pkg.nevra}\t${none(pkg.sourceRpm)}\t${pkg.size}\t${none(pkg.buildTime)}\t${none(pkg.installTime)}\t` +
        `${none(pkg.modularityLabel)}\t${changes}\n`,
    ),
  ];
  for (const file of pkg.files()) {
    lines.push(
      file.pathBytes,
      Buffer.from(
        `\t${file.size}\t${file.mode}\t${file.digest}\t${file.flags}\t${file.user}\t${file.group}\t`,
      ),
      file.linkTo,
      Buffer.from(`\t${STATE_NUMBERS[file.state]}\n`),
    );
  }
  return Buffer.concat(lines);
}

/** What rpm prints in place of the files of some packages without any. */
const NO_FILES = Buffer.from(`${'(none)\t'.repeat(8)}(none)\n`);

/** A whole dump by rpm cut into packages, sorted: `rpm -qa` has an order of its own. */
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

/** The first line in which two sorted dumps differ, for messages; undefined where they are equal byte for byte. */
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
