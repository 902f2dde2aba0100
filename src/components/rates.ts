/** How often components and layers are expected to change, in changes a year, from facts alone. */
import type { Component, ComponentFacts, PackageFacts } from '../plugin.js';

/** Seconds. */
const DAY = 86_400;
const YEAR = 365 * DAY;
/**
 * The age of a package is at least this: one that was built just now may change weekly, but not
 * every second.
 */
const MIN_AGE = 7 * DAY;

/**
 * Returns how often a component is expected to change, in changes a year:
 *
 * - If the owner of the content declares an `updateInterval`: 365 / days, and Infinity for 0 (every
 *   build).
 * - Else the number of changelog entries in the year before `now`, of the package that has the most
 *   of them. Several installed versions of one package are one component and have most of their
 *   changelog in common.
 * - Else, for packages without a changelog, one change per age of the package: one that was built
 *   half a year ago is expected to change twice a year.
 * - Else Infinity. A file that no package owns is expected to be new in every build, until the
 *   recorded history shows that it stays the same.
 *
 * Changelogs overstate: several entries may reach a tree in one update, or none. Strategies correct
 * for that.
 * @param now seconds since 1970: the newest build time in the tree ({@link newestBuildTime}), never
 * the clock
 */
export function changesPerYear(facts: ComponentFacts, now: number): number {
  const { updateInterval, packages } = facts;
  if (updateInterval !== undefined) {
    return updateInterval > 0 ? 365 / updateInterval : Infinity;
  }
  const rates = packages
    .map((each) => packageChangesPerYear(each, now))
    .filter((rate) => rate !== undefined);
  return rates.length > 0 ? Math.max(...rates) : Infinity;
}

/** Returns undefined if the package has neither a changelog nor a build time. */
function packageChangesPerYear(
  { changelogTimes, buildTime }: PackageFacts,
  now: number,
): number | undefined {
  if (changelogTimes.length > 0) {
    return changelogTimes.filter((time) => time > now - YEAR && time <= now + DAY).length;
  }
  return buildTime === undefined ? undefined : YEAR / Math.max(MIN_AGE, now - buildTime);
}

/**
 * Returns the reference time of {@link changesPerYear}: the newest build time of any package, or 0
 * without any.
 */
export function newestBuildTime(all: Iterable<ComponentFacts>): number {
  let newest = 0;
  for (const { packages } of all) {
    for (const { buildTime = 0 } of packages) {
      newest = Math.max(newest, buildTime);
    }
  }
  return newest;
}

/**
 * Returns the expected changes a year of a layer with these components. Components of one source
 * change together.
 */
export function layerChangesPerYear(
  components: Iterable<Pick<Component, 'source' | 'changesPerYear'>>,
): number {
  const rateBySource = new Map<string, number>();
  for (const { source, changesPerYear } of components) {
    rateBySource.set(source, Math.max(rateBySource.get(source) ?? 0, changesPerYear));
  }
  return [...rateBySource.values()].reduce((sum, rate) => sum + rate, 0);
}
