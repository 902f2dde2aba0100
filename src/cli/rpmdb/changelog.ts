/** The changelogs of packages. */
import { compareEvr, QueryFormat, type RpmPackage, Tag } from '../../../plugins/rpm/rpmdb/index.js';

/** What rpm prints for `rpm -q --changelog`. */
export const changelogFormat = new QueryFormat(
  '[* %{CHANGELOGTIME:day} %{CHANGELOGNAME}\\n%{CHANGELOGTEXT}\\n\\n]',
);

/** One entry of a changelog. */
export interface ChangelogEntry {
  /** Seconds since 1970. */
  readonly time: number;
  /** The author, often with an address and a version. */
  readonly name: string;
  readonly text: string;
}

/** Returns the changelog of a package, the newest entry first. */
export function changelogOf({ header, changelogTimes }: RpmPackage): ChangelogEntry[] {
  const names = header.strings(Tag.CHANGELOGNAME) ?? [];
  const texts = header.strings(Tag.CHANGELOGTEXT) ?? [];
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
  return changelogTimes.map((time, i) => ({ time, name: text(names[i]), text: text(texts[i]) }));
}

export function jsonChangelog(pkg: RpmPackage): object {
  return { nevra: pkg.nevra, changelog: changelogOf(pkg) };
}

/**
 * Returns the entries that only the newer of two versions of a package has. Entries from before the
 * other changelog begins do not count: rpm keeps only the newest ones.
 */
export function changelogBetween(a: RpmPackage, b: RpmPackage): ChangelogEntry[] {
  const [older, newer] = compareEvr(a, b) > 0 ? [b, a] : [a, b];
  const known = changelogOf(older);
  const keyOf = (entry: ChangelogEntry) => JSON.stringify(entry);
  const keys = new Set(known.map(keyOf));
  const beginning = known.at(-1)?.time ?? 0;
  return changelogOf(newer).filter((entry) => entry.time >= beginning && !keys.has(keyOf(entry)));
}
