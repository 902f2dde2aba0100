import type { ChangeHistory, Component } from '../../src/plugin.js';

/**
 * Changelog entries for each change that reaches a tree in one update, before any history tells: changelogs overstate
 * about tenfold, and updates come every two weeks.
 */
const ENTRIES_PER_CHANGE = 260;
/** That ratio weighs as much as this many observed changes, of all sources together. */
const RATIO_WEIGHT = 10;
/** Half an entry more: no changelog entry in a year does not mean never. */
const UNSEEN_ENTRIES = 0.5;
/** Shape of the gamma prior of one source's rate. 1/4 to 2 make no difference on recorded histories. */
const SHAPE = 1;
/** What nobody can know the rate of is taken to change in four updates of five, with the weight of little more than one. */
const ALWAYS = { updates: 1.25, changes: 1 };
const MAX_PROBABILITY = 0.98;

interface Source {
  readonly entries: number;
  readonly updates: number;
  readonly changes: number;
}

/**
 * The probability that a source changes in the next update. Changelogs tell how sources compare; how many entries make
 * a change, which depends on how often the system is built, is learnt from all counts together, and each source's
 * own counts correct its rate: the posterior mean of a gamma-Poisson model.
 */
export function changeProbabilities(
  components: readonly Component[],
  history: ChangeHistory = new Map(),
): Map<string, number> {
  const sources = sourcesOf(components, history);
  const perEntry = changesPerEntry([...sources.values()]);
  return new Map(
    [...sources].map(([name, { entries, updates, changes }]) => {
      if (entries === Infinity) return [name, (ALWAYS.changes + changes) / (ALWAYS.updates + updates)];
      const rate = (SHAPE + changes) / (SHAPE / (perEntry * entries) + updates);
      return [name, Math.min(MAX_PROBABILITY, 1 - Math.exp(-rate))];
    }),
  );
}

function sourcesOf(components: readonly Component[], history: ChangeHistory): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const { id, source, changesPerYear } of components) {
    const known = sources.get(source) ?? { entries: 0, updates: 0, changes: 0 };
    const count = history.get(id) ?? { updates: 0, changes: 0 };
    const { updates, changes } = count.updates > known.updates ? count : known;
    sources.set(source, { entries: Math.max(known.entries, changesPerYear + UNSEEN_ENTRIES), updates, changes });
  }
  return sources;
}

function changesPerEntry(sources: readonly Source[]): number {
  let changed = RATIO_WEIGHT;
  let exposure = RATIO_WEIGHT * ENTRIES_PER_CHANGE;
  for (const { entries, updates, changes } of sources) {
    if (entries === Infinity) continue;
    changed += changes;
    exposure += updates * entries;
  }
  return changed / exposure;
}
