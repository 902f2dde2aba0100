import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

/** Expected bytes of an update. */
function cost(groups: readonly (readonly number[])[], all: readonly Item[]): number {
  return groups.reduce((sum, group) => {
    const members = group.map((i) => all[i] as Item);
    const unchangedProbability = members.reduce(
      (product, each) => product * each.unchangedProbability,
      1,
    );
    return sum + members.reduce((bytes, { size }) => bytes + size, 0) * (1 - unchangedProbability);
  }, 0);
}

test('no item would cost less in another group', () => {
  fc.assert(
    fc.property(items, fc.integer({ min: 1, max: 12 }), (all, count) => {
      const groups = partition(all, count);
      const planned = cost(groups, all);
      for (const [from, group] of groups.entries()) {
        for (const item of group.length > 1 ? group : []) {
          for (const to of groups.keys()) {
            if (to === from) {
              continue;
            }
            const moved = groups.map((ids, i) =>
              i === from ? ids.filter((id) => id !== item) : i === to ? [...ids, item] : ids,
            );
            assert.ok(cost(moved, all) >= planned - 1, `item ${item} from group ${from} to ${to}`);
          }
        }
      }
    }),
  );
});
