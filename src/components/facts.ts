import { compareUtf8 } from '../bytes/text.js';
import type { ComponentFacts } from '../plugin.js';
import type { LayoutComponent } from './component.js';
import { changesPerYear, newestBuildTime } from './rates.js';

/** Components by what a package database says of them, without a tree: sizes as packaged, versions by NEVRA. */
export function componentsOfFacts(
  facts: ReadonlyMap<string, ComponentFacts>,
): readonly LayoutComponent[] {
  const now = newestBuildTime(facts.values());
  return [...facts]
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([id, each]) => ({
      id,
      name: each.name,
      source: each.source,
      size: each.packages.reduce((sum, { size }) => sum + size, 0),
      changesPerYear: changesPerYear(each, now),
      version: each.packages.map(({ nevra }) => nevra).join(' '),
      ...(each.exclusive && { exclusive: true }),
    }));
}
