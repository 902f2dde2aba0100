/**
 * How likely a source package is to change with the next update: an estimate from declared rates,
 * corrected by what previous builds showed (the mean of a beta distribution).
 */
import type { ChangeCount, ChangeHistory, Component } from '../../src/plugin.js';

/**
 * Changelogs overstate how often a changed component reaches a tree, about tenfold on the histories
 * measured.
 */
const CHANGELOG_OVERSTATES = 10;
/** Updates a year that are assumed, since no build says how many there are: one every two weeks. */
const ASSUMED_UPDATES_PER_YEAR = 26;
/**
 * Added to every rate, so that a component without changelog entries is still expected to change at
 * times.
 */
const MIN_CHANGES_PER_YEAR = 0.5;
/**
 * Bounds of the estimate. A component whose rate is unknown (Infinity) has the upper one until
 * history says otherwise.
 */
const MAX_ESTIMATE = 0.98;
const MIN_ESTIMATE = 0.001;
/** The estimate weighs as much as this many observed updates. */
const ESTIMATE_WEIGHT = 8;

const NO_COUNT: ChangeCount = { updates: 0, changes: 0 };

/** Returns the probability of change by source package. */
export function changeProbabilities(
  components: readonly Component[],
  history: ChangeHistory = new Map(),
): Map<string, number> {
  const sources = new Map<string, { estimate: number; count: ChangeCount }>();
  for (const { id, source, changesPerYear } of components) {
    const known = sources.get(source) ?? { estimate: 0, count: NO_COUNT };
    const count = history.get(id) ?? NO_COUNT;
    sources.set(source, {
      estimate: Math.max(known.estimate, estimatedProbability(changesPerYear)),
      // The component that was there longest says most about its source.
      count: count.updates > known.count.updates ? count : known.count,
    });
  }

  const probabilities = new Map<string, number>();
  for (const [source, { estimate, count }] of sources) {
    const changes = estimate * ESTIMATE_WEIGHT + count.changes;
    probabilities.set(source, changes / (ESTIMATE_WEIGHT + count.updates));
  }
  return probabilities;
}

/** The probability of at least one change within an update, if changes are a Poisson process. */
function estimatedProbability(changesPerYear: number): number {
  if (changesPerYear === Infinity) {
    return MAX_ESTIMATE;
  }
  const perYear = (changesPerYear + MIN_CHANGES_PER_YEAR) / CHANGELOG_OVERSTATES;
  const perUpdate = perYear / ASSUMED_UPDATES_PER_YEAR;
  return Math.min(MAX_ESTIMATE, Math.max(MIN_ESTIMATE, 1 - Math.exp(-perUpdate)));
}
