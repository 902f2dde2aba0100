/**
 * One text form of everything the reader promises, which `rpm -qa --qf` can print too: what both print must be equal.
 * Byte for byte (paths need not be UTF-8), therefore Buffers.
 */
import type { RpmFile, RpmPackage } from '../../../../plugins/rpm/rpmdb/index.js';

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
  const none = (value: string | number | undefined) => (value === undefined ? '(none)' : String(value));
  const changes = pkg.changelogTimes.length === 0 ? '(none),' : pkg.changelogTimes.map((time) => `${time},`).join('');
  const lines: Uint8Array[] = [
    Buffer.from(
      `=${pkg.nevra}\t${none(pkg.sourceRpm)}\t${pkg.size}\t${none(pkg.buildTime)}\t${none(pkg.installTime)}\t` +
        `${none(pkg.modularityLabel)}\t${changes}\n`,
    ),
  ];
  for (const file of pkg.files()) {
    lines.push(
      file.pathBytes,
      Buffer.from(`\t${file.size}\t${file.mode}\t${file.digest}\t${file.flags}\t${file.user}\t${file.group}\t`),
      file.linkTo,
      Buffer.from(`\t${STATE_NUMBERS[file.state]}\n`),
    );
  }
  if (lines.length === 1) lines.push(Buffer.from(`${'(none)\t'.repeat(8)}(none)\n`));
  return Buffer.concat(lines);
}

/** A whole dump cut into packages, sorted: `rpm -qa` has an order of its own. */
export function splitDump(dump: Buffer): Buffer[] {
  const packages: Buffer[] = [];
  let start = 0;
  while (start < dump.length) {
    const next = dump.indexOf('\n=', start);
    const end = next < 0 ? dump.length : next + 1;
    packages.push(dump.subarray(start, end));
    start = end;
  }
  return packages.sort(Buffer.compare);
}
