/** What `ostrata rpmdb` prints of packages and files. */
import {
  dependencyTexts,
  formatNevra,
  type HeaderDigest,
  type RpmFile,
  type RpmPackage,
  readSignature,
  type SignatureFacts,
  Tag,
} from '../../../plugins/rpm/rpmdb/index.js';
import { compareUtf8, decodeUtf8 } from '../../bytes/text.js';
import { counted, formatBytes, formatCount } from '../output/format.js';
import { printable, printableLines } from '../output/print.js';
import type { Source } from './source.js';

/** A label and its value; a row without a value is left out. */
type Row = readonly [label: string, value: string | number | undefined];

/** Sorts packages by name; versions installed side by side stay in the order of installation. */
export function sortedPackages(packages: Iterable<RpmPackage>): RpmPackage[] {
  return [...packages].sort((a, b) => {
    const byName = compareUtf8(a.nevra, b.nevra);
    return byName || a.number - b.number;
  });
}

/** Sorts packages as `rpm -qa --last` does, the last one installed first. */
export function newestFirst(packages: Iterable<RpmPackage>): RpmPackage[] {
  const nvra = ({ name, version, release, arch }: RpmPackage) =>
    formatNevra({ name, version, release, arch });
  const timeOf = ({ installTime = 0 }: RpmPackage) => installTime;
  return [...packages].sort((a, b) => {
    const byTime = timeOf(b) - timeOf(a);
    return byTime || compareUtf8(nvra(b), nvra(a));
  });
}

export function jsonPackage(pkg: RpmPackage): object {
  return {
    nevra: pkg.nevra,
    name: pkg.name,
    epoch: pkg.epoch,
    version: pkg.version,
    release: pkg.release,
    arch: pkg.arch,
    sourceRpm: pkg.sourceRpm,
    size: pkg.size,
    buildTime: pkg.buildTime,
    installTime: pkg.installTime,
    modularityLabel: pkg.modularityLabel,
  };
}

export function jsonPackageInfo(pkg: RpmPackage): object {
  const text = (tag: number) => pkg.header.text(tag);
  return {
    ...jsonPackage(pkg),
    summary: text(Tag.SUMMARY),
    license: text(Tag.LICENSE),
    vendor: text(Tag.VENDOR),
    url: text(Tag.URL),
    buildHost: text(Tag.BUILDHOST),
    description: text(Tag.DESCRIPTION),
    sigmd5: hexOf(pkg.header.binary(Tag.SIGMD5)),
    signature: signatureOf(pkg),
    provides: dependenciesOf(pkg, 'PROVIDE'),
    requires: dependenciesOf(pkg, 'REQUIRE'),
    files: [...pkg.files()].length,
    changelogTimes: pkg.changelogTimes,
  };
}

function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex');
}

/** What the signature of the header says of itself; it is not verified. */
function signatureOf({ header }: RpmPackage): SignatureFacts | undefined {
  const bytes = header.binary(Tag.DSAHEADER) ?? header.binary(Tag.RSAHEADER);
  return bytes && readSignature(bytes);
}

function dependenciesOf({ header }: RpmPackage, kind: 'PROVIDE' | 'REQUIRE'): readonly string[] {
  const texts = dependencyTexts(header, kind);
  return texts.map((each) => Buffer.from(each, 'latin1').toString());
}

export function jsonFile(file: RpmFile): object {
  return {
    path: jsonPath(file),
    size: file.size,
    mode: file.mode,
    digest: file.digest,
    digestAlgorithm: file.digestAlgorithm,
    flags: file.flags,
    user: file.user,
    group: file.group,
    mtime: file.mtime,
    state: file.state,
    linkTo: file.linkTo.length > 0 ? jsonBytes(file.linkTo) : undefined,
  };
}

export function jsonPath({ path, pathBytes }: RpmFile): ReturnType<typeof jsonBytes> {
  return path ?? jsonBytes(pathBytes);
}

/** Returns text, or `{"hex": ...}` for bytes that are not UTF-8: JSON has no bytes. */
function jsonBytes(bytes: Uint8Array): string | { readonly hex: string } {
  return decodeUtf8(bytes) ?? { hex: Buffer.from(bytes).toString('hex') };
}

/** Returns what `rpm -qi` prints, as far as the database records it. */
export function packageInfo(pkg: RpmPackage): string {
  const rows: readonly Row[] = [
    ['Name', pkg.name],
    ['Epoch', pkg.epoch],
    ['Version', pkg.version],
    ['Release', pkg.release],
    ['Architecture', pkg.arch],
    ['Install date', timeText(pkg.installTime)],
    ['Size', pkg.size],
    ['License', pkg.header.text(Tag.LICENSE)],
    ['Source RPM', pkg.sourceRpm],
    ['Build date', timeText(pkg.buildTime)],
    ['Build host', pkg.header.text(Tag.BUILDHOST)],
    ['Vendor', pkg.header.text(Tag.VENDOR)],
    ['URL', pkg.header.text(Tag.URL)],
    ['Module', pkg.modularityLabel],
    ['Files', [...pkg.files()].length],
    ['Changelog', changelog(pkg.changelogTimes)],
    ['Summary', pkg.header.text(Tag.SUMMARY)],
  ];
  const lines: string[] = [];
  for (const [label, value] of rows) {
    if (value !== undefined) {
      const title = label.padEnd(13);
      const text = printable(String(value));
      lines.push(`${title}: ${text}`);
    }
  }
  const description = pkg.header.text(Tag.DESCRIPTION) ?? '';
  lines.push('Description  :');
  lines.push(printableLines(description));
  return lines.join('\n');
}

function changelog(times: readonly number[]): string | undefined {
  const newest = times[0];
  if (newest === undefined) {
    return undefined;
  }
  const day = dateText(newest);
  return `${times.length} entries, the newest of ${day}`;
}

/** The latest time that a Date can hold, in seconds since 1970. */
const MAX_DATE = 8.64e12;

/** @param seconds since 1970; 0 means unknown, as a missing time does */
function timeText(seconds: number | undefined): string | undefined {
  return seconds ? isoTime(seconds) : undefined;
}

/** Returns the day in UTC, e.g. `2025-03-04`. @param seconds since 1970 */
export function dateText(seconds: number): string {
  return isoTime(seconds).split('T', 1)[0] ?? '';
}

/** Returns the plain number for a time that no calendar has; only a damaged package has one. */
function isoTime(seconds: number): string {
  if (seconds > MAX_DATE) {
    return String(seconds);
  }
  const date = new Date(seconds * 1000);
  return date.toISOString().replace('.000Z', 'Z');
}

export interface Stats {
  readonly database: string;
  readonly backend: string;
  readonly packages: number;
  readonly sourcePackages: number;
  /** Names that are installed in more than one version, as kernels are. */
  readonly severalVersions: readonly string[];
  /** Names that are installed for more than one architecture. */
  readonly severalArchitectures: readonly string[];
  readonly architectures: Readonly<Record<string, number>>;
  readonly files: number;
  readonly ghosts: number;
  readonly notInstalled: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly newestBuild: number | undefined;
  /** Numbers of headers; `packages` counts none with a wrong digest. */
  readonly headerDigests: Readonly<Record<HeaderDigest['state'], number>>;
}

/** What {@link Stats} counts of one package. */
interface PackageStats {
  readonly name: string;
  readonly arch: string;
  readonly nevra: string;
  readonly source: string;
  readonly size: number;
  readonly buildTime: number;
  readonly files: number;
  readonly ghosts: number;
  readonly notInstalled: number;
}

export function statsOf({ database, packages, name, tree }: Source): Stats {
  const all = [...packages.map(sortedPackages(packages.all()), packageStats)];
  const architectures = new Map<string, number>();
  const versions = new Map<string, Set<string>>();
  const architecturesOf = new Map<string, Set<string>>();
  for (const { name, arch, nevra } of all) {
    architectures.set(arch, (architectures.get(arch) ?? 0) + 1);
    addTo(versions, `${name}.${arch}`, nevra);
    addTo(architecturesOf, name, arch);
  }

  const newestBuild = all.reduce((newest, { buildTime }) => Math.max(newest, buildTime), 0);
  return {
    database: tree === undefined ? name : database.location.database,
    backend: database.backend,
    packages: all.length,
    sourcePackages: new Set(all.map(({ source }) => source)).size,
    severalVersions: keysOfSeveral(versions),
    severalArchitectures: keysOfSeveral(architecturesOf),
    architectures: Object.fromEntries(architectures),
    files: sum(all, ({ files }) => files),
    ghosts: sum(all, ({ ghosts }) => ghosts),
    notInstalled: sum(all, ({ notInstalled }) => notInstalled),
    size: sum(all, ({ size }) => size),
    newestBuild: newestBuild || undefined,
    headerDigests: packages.digests,
  };
}

function packageStats(pkg: RpmPackage): PackageStats {
  let files = 0;
  let ghosts = 0;
  let notInstalled = 0;
  for (const file of pkg.files()) {
    files++;
    ghosts += file.isGhost ? 1 : 0;
    notInstalled += file.isInstalled ? 0 : 1;
  }
  return {
    name: pkg.name,
    arch: pkg.arch ?? '(none)',
    nevra: pkg.nevra,
    source: pkg.sourceName ?? pkg.name,
    size: pkg.size,
    buildTime: pkg.buildTime ?? 0,
    files,
    ghosts,
    notInstalled,
  };
}

function sum(all: readonly PackageStats[], count: (each: PackageStats) => number): number {
  return all.reduce((total, each) => total + count(each), 0);
}

function addTo(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}

function keysOfSeveral(sets: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const several = [...sets].filter(([, set]) => set.size > 1);
  return several.map(([key]) => key);
}

export function statsReport(stats: Stats): string {
  const packages = formatCount(stats.packages);
  const sourcePackages = counted(stats.sourcePackages, 'source package');
  const architectures = Object.entries(stats.architectures)
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([arch, count]) => `${arch} ${formatCount(count)}`);
  const { newestBuild } = stats;
  const rows: readonly (readonly [label: string, value: string])[] = [
    ['database', `${stats.database} (${stats.backend})`],
    ['packages', `${packages} of ${sourcePackages}`],
    ['by architecture', architectures.join(', ')],
    ['several versions', stats.severalVersions.join(', ') || 'none'],
    ['several architectures', stats.severalArchitectures.join(', ') || 'none'],
    ['files', fileCounts(stats)],
    ['installed size', formatBytes(stats.size)],
    ['newest build', newestBuild === undefined ? 'unknown' : dateText(newestBuild)],
    ['header digests', digestCounts(stats)],
  ];
  const lines = rows.map(([label, value]) => {
    const title = label.padEnd(22);
    return `${title}${printable(value)}`;
  });
  return lines.join('\n');
}

function fileCounts(stats: Stats): string {
  const files = formatCount(stats.files);
  const ghosts = formatCount(stats.ghosts);
  const notInstalled = formatCount(stats.notInstalled);
  return `${files}, ${ghosts} ghosts, ${notInstalled} not installed`;
}

function digestCounts({ headerDigests }: Stats): string {
  const right = formatCount(headerDigests.right);
  const wrong = formatCount(headerDigests.wrong);
  const missing = formatCount(headerDigests.missing);
  return `${right} right, ${wrong} wrong, ${missing} missing`;
}
