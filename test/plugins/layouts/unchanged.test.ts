/** Probabilities of sets that hold parts of the same components. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  joint,
  jointProbability,
  probabilityWithout,
  type Stability,
  stabilityOfPart,
} from '../../../plugins/layouts/unchanged.js';

const chance = fc.double({ min: 0.01, max: 0.98, noNaN: true });
const CHANGES = new Map([
  ['a', 0.2],
  ['b', 0.9],
]);
/** The share of changes of a component that changes all parts. */
const ALL_PARTS = 0.3;
const part = fc.record({ id: fc.constantFrom('a', 'b'), share: chance });
const member: fc.Arbitrary<Stability> = fc.oneof(
  chance.map((unchangedProbability) => ({ unchangedProbability })),
  part.map(({ id, share }) =>
    stabilityOfPart({
      id,
      changeProbability: CHANGES.get(id) ?? 0,
      allPartsShare: ALL_PARTS,
      partsUnchangedProbability: share,
    }),
  ),
);

/** Sums over all ways in which the components `a` and `b` change or stay. */
function exact(members: readonly Stability[]): number {
  const ways = [[], ['a'], ['b'], ['a', 'b']];
  // Changes of all parts leave no part as it is, so only the others count.
  return ways.reduce((sum, changed) => sum + probabilityOf(new Set(changed), members), 0);
}

/** The probability that exactly `changed` change, and none of `members`. */
function probabilityOf(changed: ReadonlySet<string>, members: readonly Stability[]): number {
  let probability = 1;
  for (const [id, chance] of CHANGES) {
    probability *= changed.has(id) ? chance : 1 - chance;
  }
  const wholes = members.flatMap((each) => each.wholes ?? []);
  for (const id of new Set(wholes.map((whole) => whole.id))) {
    probability *= changed.has(id) ? 1 - ALL_PARTS : 1;
  }
  for (const { id, partsUnchangedProbability } of wholes) {
    probability *= changed.has(id) ? partsUnchangedProbability : 1;
  }
  for (const each of members) {
    probability *= each.wholes === undefined ? each.unchangedProbability : 1;
  }
  return probability;
}

function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

test('parts of one component change only if it does, everything else independently', () => {
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 8 }), member, (members, last) => {
      const set = members.reduce(joint);
      assertClose(set.unchangedProbability, exact(members));
      const all = joint(set, last);
      assertClose(all.unchangedProbability, exact([...members, last]));
      assert.equal(jointProbability(set, last), all.unchangedProbability);
      assertClose(probabilityWithout(all, last), set.unchangedProbability);
    }),
  );
});
