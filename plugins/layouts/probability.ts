import type { ChangeHistory, Component } from '../../src/plugin.js';

/** Changelogs overstate how often a component reaches a tree changed, about tenfold on the histories measured. */
const CHANGELOG_OVERSTATES = 10;
/** Updates a year that are assumed before any has been seen: one every two weeks. */
const ASSUMED_UPDATES_PER_YEAR = 26;
/** What nobody can know the rate of changes in nearly every update, until its history says otherwise. */
const ALWAYS = 0.98;
const NEVER = 0.001;
/** The prior weighs as much as this many observed updates. */
const PRIOR_WEIGHT = 8;

/** The probability that a source changes in the next update: a prior from declared rates, then what was counted. */
export function changeProbabilities(
  components: readonly Component[],
  history: ChangeHistory = new Map(),
): Map<string, number> {
  const sources = new Map<string, { prior: number; updates: number; changes: number }>();
  for (const { id, source, changesPerYear } of components) {
    const known = sources.get(source) ?? { prior: 0, updates: 0, changes: 0 };
    const count = history.get(id) ?? { updates: 0, changes: 0 };
    const more = count.updates > known.updates ? count : known;
    sources.set(source, {
      prior: Math.max(known.prior, priorProbability(changesPerYear)),
      updates: more.updates,
      changes: more.changes,
    });
  }
  return new Map(
    [...sources].map(([source, { prior, updates, changes }]) => [
      source,
      (prior * PRIOR_WEIGHT + changes) / (PRIOR_WEIGHT + updates),
    ]),
  );
}

function priorProbability(changesPerYear: number): number {
  if (changesPerYear === Infinity) {
    return ALWAYS;
  }
  const perUpdate = (changesPerYear + 0.5) / CHANGELOG_OVERSTATES / ASSUMED_UPDATES_PER_YEAR;
  return Math.min(ALWAYS, Math.max(NEVER, 1 - Math.exp(-perUpdate)));
}
