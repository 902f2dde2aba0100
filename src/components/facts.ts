/** Components made of facts alone, for experiments with package databases that have no tree. */
import { compareUtf8 } from '../bytes/text.js';
import type { ComponentFacts } from '../plugin.js';
import type { LayoutComponent } from './component.js';
import { changesPerYear, newestBuildTime } from './rates.js';

/**
 * Returns components in byte order of their ids; sizes are those of the packages, versions are the
 * NEVRAs.
 */
export function componentsOfFacts(
  factsById: ReadonlyMap<string, ComponentFacts>,
): readonly LayoutComponent[] {
  const now = newestBuildTime(factsById.values());
  return [...factsById]
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([id, facts]) => ({
      id,
      name: facts.name,
      source: facts.source,
      size: facts.packages.reduce((sum, { size }) => sum + size, 0),
      changesPerYear: changesPerYear(facts, now),
      version: facts.packages.map(({ nevra }) => nevra).join(' '),
      exclusive: facts.exclusive || undefined,
    }));
}
