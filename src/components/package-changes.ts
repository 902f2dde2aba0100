/** How the packages of one database differ from those of another. */
import { compareUtf8 } from '../bytes/text.js';

/** An installed package, of any kind of database. */
export interface InstalledVersion {
  readonly name: string;
  /** Undefined for trusted keys, which have no versions. */
  readonly arch?: string | undefined;
  /** [epoch:]version-release, or what stands for it. */
  readonly evr: string;
  readonly nevra: string;
}

/** One version of a package that took the place of another. */
export interface PackageUpdate<Package extends InstalledVersion> {
  readonly from: Package;
  readonly to: Package;
}

/** Each list is sorted by name, then by architecture. */
export interface PackageChanges<Package extends InstalledVersion> {
  readonly added: readonly Package[];
  readonly removed: readonly Package[];
  readonly upgraded: readonly PackageUpdate<Package>[];
  readonly downgraded: readonly PackageUpdate<Package>[];
  /** Packages that were replaced by packages of other names. */
  readonly renamed: readonly PackageUpdate<Package>[];
  /** Number of packages that both databases have. */
  readonly unchanged: number;
}

/** Orders versions of one package, the oldest first. */
export type CompareVersions<Package> = (a: Package, b: Package) => number;

/**
 * Compares two databases. A package that only the old one has and one of the same name that only
 * the new one has are an update; those of the same architecture are paired first, the newest
 * versions first. Trusted keys (`gpg-pubkey`) are added or removed. A package that was removed got
 * another name if an added one has more than half of its files.
 * @param pathsOf returns the files that a package installs; without it, no other names are found
 */
export function comparePackages<Package extends InstalledVersion>(
  old: Iterable<Package>,
  next: Iterable<Package>,
  compareVersions: CompareVersions<Package>,
  pathsOf: (pkg: Package) => readonly string[] = () => [],
): PackageChanges<Package> {
  const before = byNevra(old);
  const after = byNevra(next);
  const gone = onlyIn(before, after, compareVersions);
  const fresh = onlyIn(after, before, compareVersions);
  const updates = [
    ...takePairs(gone, fresh, ({ name, arch }) => `${name}.${arch}`),
    ...takePairs(gone, fresh, ({ name }) => name),
  ];
  updates.sort((a, b) => byName(a.to, b.to));
  const renamed = takeRenamed(gone, fresh, pathsOf);
  const isDowngrade = ({ from, to }: PackageUpdate<Package>) => compareVersions(from, to) > 0;
  return {
    added: [...fresh].sort(byName),
    removed: [...gone].sort(byName),
    upgraded: updates.filter((update) => !isDowngrade(update)),
    downgraded: updates.filter(isDowngrade),
    renamed,
    unchanged: [...after.keys()].filter((nevra) => before.has(nevra)).length,
  };
}

/** Removes the packages that only got another name from both sets, and returns them. */
function takeRenamed<Package extends InstalledVersion>(
  gone: Set<Package>,
  fresh: Set<Package>,
  pathsOf: (pkg: Package) => readonly string[],
): PackageUpdate<Package>[] {
  if (gone.size === 0 || fresh.size === 0) {
    return [];
  }
  const pathsOfFresh = new Map(Array.from(fresh, (pkg) => [pkg, new Set(pathsOf(pkg))]));
  const renamed: PackageUpdate<Package>[] = [];
  for (const from of gone) {
    const paths = pathsOf(from);
    const [to] = [...pathsOfFresh].find(([, set]) => 2 * countIn(paths, set) > paths.length) ?? [];
    if (to !== undefined) {
      pathsOfFresh.delete(to);
      fresh.delete(to);
      gone.delete(from);
      renamed.push({ from, to });
    }
  }
  return renamed.sort((a, b) => byName(a.to, b.to));
}

function countIn(paths: readonly string[], set: ReadonlySet<string>): number {
  return paths.filter((path) => set.has(path)).length;
}

function byNevra<Package extends InstalledVersion>(
  packages: Iterable<Package>,
): ReadonlyMap<string, Package> {
  return new Map(Array.from(packages, (pkg) => [keyOf(pkg), pkg]));
}

/** An epoch of 0 and none are the same. */
function keyOf({ name, evr, arch }: InstalledVersion): string {
  return [name, evr.replace(/^0:/, ''), arch].join('\0');
}

/** Returns the packages of `these` that are not in `others`, the newest versions first. */
function onlyIn<Package extends InstalledVersion>(
  these: ReadonlyMap<string, Package>,
  others: ReadonlyMap<string, Package>,
  compareVersions: CompareVersions<Package>,
): Set<Package> {
  const only = [...these].filter(([key]) => !others.has(key)).map(([, pkg]) => pkg);
  return new Set(only.sort((a, b) => compareVersions(b, a)));
}

/** Removes pairs with the same name, as `nameOf` gives it, from both sets and returns them. */
function takePairs<Package extends InstalledVersion>(
  gone: Set<Package>,
  fresh: Set<Package>,
  nameOf: (pkg: Package) => string,
): PackageUpdate<Package>[] {
  const waiting = new Map<string, Package[]>();
  for (const pkg of gone) {
    const name = nameOf(pkg);
    const versions = waiting.get(name) ?? [];
    waiting.set(name, versions);
    versions.push(pkg);
  }
  const pairs: PackageUpdate<Package>[] = [];
  for (const to of fresh) {
    const from = to.arch === undefined ? undefined : waiting.get(nameOf(to))?.shift();
    if (from !== undefined) {
      gone.delete(from);
      fresh.delete(to);
      pairs.push({ from, to });
    }
  }
  return pairs;
}

function byName(a: InstalledVersion, b: InstalledVersion): number {
  return compareUtf8(a.nevra, b.nevra);
}
