/** The partition that minimizes expected bytes ends in a local minimum. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Costs } from '../../../plugins/layouts/cost.js';
import { type Item, partition } from '../../../plugins/layouts/partition.js';

const items = fc.array(
  fc.record({
    size: fc.nat(1e8),
    unchangedProbability: fc.double({ min: 0.02, max: 1, noNaN: true }),
  }),
  {
    minLength: 1,
    maxLength: 60,
  },
);

const cadences = fc.constantFrom([], [1], [4], [1, 1, 4]);

/** Bytes that clients are expected to fetch with each build. */
function cost(groups: readonly (readonly number[])[], all: readonly Item[], costs: Costs): number {
  return groups.reduce((sum, group) => {
    const members = group.map((i) => all[i] as Item);
    const unchangedProbability = members.reduce(
      (product, each) => product * each.unchangedProbability,
      1,
    );
    const bytes = members.reduce((total, { size }) => total + size, 0);
    return sum + costs.expectedBytes(bytes, unchangedProbability);
  }, 0);
}

/** Every partition that differs from `groups` by one item in another group. */
function* neighborsOf(groups: readonly (readonly number[])[]): Generator<number[][]> {
  for (const [from, group] of groups.entries()) {
    for (const item of group.length > 1 ? group : []) {
      const without = groups.map((ids) => ids.filter((id) => id !== item));
      for (const to of groups.keys()) {
        if (to !== from) {
          yield without.map((ids, i) => (i === to ? [...ids, item] : ids));
        }
      }
    }
  }
}

test('moving any single item to another group would not reduce the cost', () => {
  fc.assert(
    fc.property(items, fc.integer({ min: 1, max: 12 }), cadences, (all, count, each) => {
      const costs = new Costs({ cadences: each });
      const groups = partition(all, count, costs);
      const planned = cost(groups, all, costs);
      for (const neighbor of neighborsOf(groups)) {
        assert.ok(cost(neighbor, all, costs) >= planned - 1, JSON.stringify(neighbor));
      }
    }),
  );
});
