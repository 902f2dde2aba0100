import type { Component, ComponentFacts } from '../plugin.js';

const DAY = 86_400;
const YEAR = 365 * DAY;
/** A build time of the very moment says no more than "changed within a week". */
const YOUNGEST = 7 * DAY;

/**
 * How often a component is expected to change, in changes a year, from facts alone:
 *
 * - `updateInterval`, where the owner of the content declares one: 365 / days, and Infinity for 0 (every build);
 * - else the changelog entries of the year before `now`, of the package that has most of them (several installed
 *   versions of one package are one component and share most of their changelog);
 * - else, for packages without a changelog, once per age: a package built half a year ago changes twice a year;
 * - else Infinity: what no package owns is made anew by each compose, until recorded history shows that it is not.
 *
 * Changelogs overstate: several entries may reach a tree in one update, or none. Strategies calibrate.
 * @param now seconds since 1970; the newest build time of the tree ({@link newestBuildTime}), never the clock
 */
export function changesPerYear(facts: ComponentFacts, now: number): number {
  if (facts.updateInterval !== undefined) {
    return facts.updateInterval > 0 ? 365 / facts.updateInterval : Infinity;
  }
  const rates = facts.packages.flatMap(({ changelogTimes, buildTime }) => {
    if (changelogTimes.length > 0) {
      return [changelogTimes.filter((time) => time > now - YEAR && time <= now + DAY).length];
    }
    return buildTime === undefined ? [] : [YEAR / Math.max(YOUNGEST, now - buildTime)];
  });
  return rates.length > 0 ? Math.max(...rates) : Infinity;
}

/** The reference time of {@link changesPerYear}: the newest build time of any package, 0 where there is none. */
export function newestBuildTime(all: Iterable<ComponentFacts>): number {
  let newest = 0;
  for (const { packages } of all) {
    for (const { buildTime = 0 } of packages) {
      newest = Math.max(newest, buildTime);
    }
  }
  return newest;
}

/** Expected changes a year of components that lie in one layer: components of one source change together. */
export function layerChangesPerYear(
  components: Iterable<Pick<Component, 'source' | 'changesPerYear'>>,
): number {
  const sources = new Map<string, number>();
  for (const { source, changesPerYear } of components) {
    sources.set(source, Math.max(sources.get(source) ?? 0, changesPerYear));
  }
  return [...sources.values()].reduce((sum, rate) => sum + rate, 0);
}
