/** How the packages of one database differ from those of another. */
import { compareEvr, type RpmPackage } from '../../../plugins/rpm/rpmdb/index.js';
import { compareUtf8 } from '../../bytes/text.js';

/** One version of a package that took the place of another. */
export interface PackageUpdate {
  readonly from: RpmPackage;
  readonly to: RpmPackage;
}

/** Each list is sorted by name, then by architecture. */
export interface PackageChanges {
  readonly added: readonly RpmPackage[];
  readonly removed: readonly RpmPackage[];
  readonly upgraded: readonly PackageUpdate[];
  readonly downgraded: readonly PackageUpdate[];
  /** Number of packages that both databases have. */
  readonly unchanged: number;
}

/**
 * Compares two databases. A package that only the old one has and one of the same name that only
 * the new one has are an update; those of the same architecture are paired first, the newest
 * versions first. Trusted keys (`gpg-pubkey`) are added or removed: they have no versions.
 */
export function comparePackages(
  old: Iterable<RpmPackage>,
  next: Iterable<RpmPackage>,
): PackageChanges {
  const before = byNevra(old);
  const after = byNevra(next);
  const gone = onlyIn(before, after);
  const fresh = onlyIn(after, before);
  const updates = [
    ...takePairs(gone, fresh, ({ name, arch }) => `${name}.${arch}`),
    ...takePairs(gone, fresh, ({ name }) => name),
  ];
  updates.sort((a, b) => byName(a.to, b.to));
  const isDowngrade = ({ from, to }: PackageUpdate) => compareEvr(from, to) > 0;
  return {
    added: [...fresh].sort(byName),
    removed: [...gone].sort(byName),
    upgraded: updates.filter((update) => !isDowngrade(update)),
    downgraded: updates.filter(isDowngrade),
    unchanged: [...after.keys()].filter((nevra) => before.has(nevra)).length,
  };
}

function byNevra(packages: Iterable<RpmPackage>): ReadonlyMap<string, RpmPackage> {
  return new Map(Array.from(packages, (pkg) => [keyOf(pkg), pkg]));
}

/** An epoch of 0 and none are the same. */
function keyOf({ name, epoch = 0, version, release, arch }: RpmPackage): string {
  return [name, epoch, version, release, arch].join('\0');
}

/** Returns the packages of `these` that are not in `others`, the newest versions first. */
function onlyIn(
  these: ReadonlyMap<string, RpmPackage>,
  others: ReadonlyMap<string, RpmPackage>,
): Set<RpmPackage> {
  const only = [...these].filter(([key]) => !others.has(key)).map(([, pkg]) => pkg);
  return new Set(only.sort((a, b) => compareEvr(b, a)));
}

/** Removes pairs with the same name, as `nameOf` gives it, from both sets and returns them. */
function takePairs(
  gone: Set<RpmPackage>,
  fresh: Set<RpmPackage>,
  nameOf: (pkg: RpmPackage) => string,
): PackageUpdate[] {
  const waiting = new Map<string, RpmPackage[]>();
  for (const pkg of gone) {
    const name = nameOf(pkg);
    const versions = waiting.get(name) ?? [];
    waiting.set(name, versions);
    versions.push(pkg);
  }
  const pairs: PackageUpdate[] = [];
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

function byName(a: RpmPackage, b: RpmPackage): number {
  return compareUtf8(a.nevra, b.nevra);
}
