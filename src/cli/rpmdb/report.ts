/** What `ostrata rpmdb` prints of packages and files. */
import { type RpmFile, type RpmPackage, Tag } from '../../../plugins/rpm/rpmdb/index.js';
import { compareUtf8, decodeUtf8 } from '../../bytes/text.js';
import { counted, formatBytes, formatCount, printable } from '../output/format.js';
import type { Source } from './source.js';

/** Packages by name, then by number: kernels that are installed side by side in the order in which they came. */
export function sortedPackages(packages: Iterable<RpmPackage>): RpmPackage[] {
  return [...packages].sort((a, b) => compareUtf8(a.nevra, b.nevra) || a.number - b.number);
}

export function jsonPackage(pkg: RpmPackage): object {
  const {
    nevra,
    name,
    epoch,
    version,
    release,
    arch,
    sourceRpm,
    size,
    buildTime,
    installTime,
    modularityLabel,
  } = pkg;
  return {
    nevra,
    name,
    epoch,
    version,
    release,
    arch,
    sourceRpm,
    size,
    buildTime,
    installTime,
    modularityLabel,
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
    files: [...pkg.files()].length,
    changelogTimes: pkg.changelogTimes,
  };
}

export function jsonFile(file: RpmFile): object {
  const { size, mode, digest, digestAlgorithm, flags, user, group, mtime, state } = file;
  const linkTo = file.linkTo.length > 0 ? jsonBytes(file.linkTo) : undefined;
  return {
    path: file.path ?? jsonBytes(file.pathBytes),
    ...{ size, mode, digest, digestAlgorithm, flags, user, group, mtime, state, linkTo },
  };
}

/** Text where it is, else `{"hex": ...}`: JSON has no bytes. */
function jsonBytes(bytes: Uint8Array): string | { readonly hex: string } {
  return decodeUtf8(bytes) ?? { hex: Buffer.from(bytes).toString('hex') };
}

/** As `rpm -qi`, but for what the database does not know. */
export function packageInfo(pkg: RpmPackage): string {
  const time = (seconds: number | undefined) =>
    seconds && new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  const rows: readonly (readonly [label: string, value: string | number | undefined])[] = [
    ['Name', pkg.name],
    ['Epoch', pkg.epoch],
    ['Version', pkg.version],
    ['Release', pkg.release],
    ['Architecture', pkg.arch],
    ['Install date', time(pkg.installTime)],
    ['Size', pkg.size],
    ['License', pkg.header.text(Tag.LICENSE)],
    ['Source RPM', pkg.sourceRpm],
    ['Build date', time(pkg.buildTime)],
    ['Build host', pkg.header.text(Tag.BUILDHOST)],
    ['Vendor', pkg.header.text(Tag.VENDOR)],
    ['URL', pkg.header.text(Tag.URL)],
    ['Module', pkg.modularityLabel],
    ['Files', [...pkg.files()].length],
    ['Changelog', changelog(pkg.changelogTimes)],
    ['Summary', pkg.header.text(Tag.SUMMARY)],
  ];
  const lines = rows.flatMap(([label, value]) =>
    value === undefined ? [] : `${label.padEnd(13)}: ${printable(String(value))}`,
  );
  const description = pkg.header.text(Tag.DESCRIPTION)?.split('\n').map(printable).join('\n');
  return `${lines.join('\n')}\nDescription  :\n${description ?? ''}`;
}

function changelog(times: readonly number[]): string | undefined {
  const newest = times[0];
  if (newest === undefined) {
    return undefined;
  }
  return `${times.length} entries, the newest of ${new Date(newest * 1000).toISOString().slice(0, 10)}`;
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
}

export function statsOf({ database, name, tree }: Source): Stats {
  const packages = sortedPackages(database.packages());
  const architectures: Record<string, number> = {};
  const versions = new Map<string, Set<string>>();
  const byName = new Map<string, Set<string>>();
  const sources = new Set<string>();
  let files = 0;
  let ghosts = 0;
  let notInstalled = 0;
  for (const pkg of packages) {
    const { name, arch = '(none)' } = pkg;
    architectures[arch] = (architectures[arch] ?? 0) + 1;
    sources.add(pkg.sourceName ?? name);
    collect(versions, `${name}.${arch}`, pkg.nevra);
    collect(byName, name, arch);
    for (const file of pkg.files()) {
      files++;
      if (file.isGhost) {
        ghosts++;
      }
      if (!file.isInstalled) {
        notInstalled++;
      }
    }
  }
  const several = (map: ReadonlyMap<string, ReadonlySet<string>>) =>
    [...map].filter(([, set]) => set.size > 1).map(([key]) => key);
  return {
    database: tree === undefined ? name : database.location.database,
    backend: database.backend,
    packages: packages.length,
    sourcePackages: sources.size,
    severalVersions: several(versions),
    severalArchitectures: several(byName),
    architectures,
    ...{ files, ghosts, notInstalled },
    size: packages.reduce((sum, { size }) => sum + size, 0),
    newestBuild:
      packages.map(({ buildTime }) => buildTime ?? 0).reduce((a, b) => Math.max(a, b), 0) ||
      undefined,
  };
}

function collect(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}

export function statsReport(stats: Stats): string {
  const { packages, files, newestBuild } = stats;
  const architectures = Object.entries(stats.architectures).sort(([a], [b]) => compareUtf8(a, b));
  const rows: readonly (readonly [label: string, value: string])[] = [
    ['database', `${stats.database} (${stats.backend})`],
    ['packages', `${formatCount(packages)} of ${counted(stats.sourcePackages, 'source package')}`],
    [
      'by architecture',
      architectures.map(([arch, count]) => `${arch} ${formatCount(count)}`).join(', '),
    ],
    ['several versions', stats.severalVersions.join(', ') || 'none'],
    ['several architectures', stats.severalArchitectures.join(', ') || 'none'],
    [
      'files',
      `${formatCount(files)}, ${formatCount(stats.ghosts)} ghosts, ${formatCount(stats.notInstalled)} not installed`,
    ],
    ['installed size', formatBytes(stats.size)],
    [
      'newest build',
      newestBuild === undefined
        ? 'unknown'
        : new Date(newestBuild * 1000).toISOString().slice(0, 10),
    ],
  ];
  return rows.map(([label, value]) => `${label.padEnd(22)}${printable(value)}`).join('\n');
}
