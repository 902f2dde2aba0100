/** The changelogs of packages. */
import { compareEvr, QueryFormat, type RpmPackage, Tag } from '../../../plugins/rpm/rpmdb/index.js';

const HEADING = '* %{CHANGELOGTIME:day} %{CHANGELOGNAME}';
const TEXT = '%{CHANGELOGTEXT}';
/** What rpm prints for `rpm -q --changelog`; brackets repeat it for each entry. */
export const changelogFormat = new QueryFormat(`[${HEADING}\\n${TEXT}\\n\\n]`);

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
  return changelogTimes.map((time, i) => {
    const name = textOf(names[i]);
    const text = textOf(texts[i]);
    return { time, name, text };
  });
}

function textOf(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes).toString();
}

export function jsonChangelog(pkg: RpmPackage): object {
  return { nevra: pkg.nevra, changelog: changelogOf(pkg) };
}

/**
 * Returns the entries that only the newer of two versions of a package has. Entries from before the
 * other changelog begins do not count: rpm keeps only the newest ones.
 */
export function changelogBetween(a: RpmPackage, b: RpmPackage): ChangelogEntry[] {
  const isDowngrade = compareEvr(a, b) > 0;
  const older = isDowngrade ? b : a;
  const newer = isDowngrade ? a : b;

  const known = changelogOf(older);
  const knownKeys = new Set(known.map(keyOf));
  const beginning = known.at(-1)?.time ?? 0;
  return changelogOf(newer).filter((entry) => {
    const isKnown = knownKeys.has(keyOf(entry));
    return !isKnown && entry.time >= beginning;
  });
}

/** Entries with the same key are the same entry. */
function keyOf(entry: ChangelogEntry): string {
  return JSON.stringify(entry);
}
