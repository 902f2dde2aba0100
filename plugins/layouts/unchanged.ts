/**
 * The probability that nothing in a set of components changes with the next update.
 *
 * Components change independently of each other, so a union has the product of the probabilities.
 * Parts of one component do not: they change only if the component does, and some updates, such as
 * those that compile everything anew, change all of them. With p the probability that the component
 * changes, a the share of these updates that changes all parts, and r the probability that any
 * other changes none of some parts, these parts stay as they are with the probability
 * 1 - p + p (1 - a) r. In a union, r is the product of both.
 */

/** How likely a set of components is to stay as it is. */
export interface Stability {
  /** The probability that nothing changes with the next update. */
  readonly unchangedProbability: number;
  /** The components of which the set holds parts; undefined without parts. */
  readonly wholes?: readonly Whole[] | undefined;
}

/** A component of which parts are held. */
export interface Whole {
  readonly id: string;
  /** The probability that the component changes with the next update; below 1. */
  readonly changeProbability: number;
  /** The share of these changes that changes all parts; below 1. */
  readonly allPartsShare: number;
  /** The probability that any other change of the component changes no part held; above 0. */
  readonly partsUnchangedProbability: number;
  /** Number of parts held. */
  readonly partCount: number;
}

/** Returns the stability of one part of a component. */
export function stabilityOfPart(part: Omit<Whole, 'partCount'>): Stability {
  const whole = { ...part, partCount: 1 };
  return { unchangedProbability: unchangedProbability(whole), wholes: [whole] };
}

function unchangedProbability(whole: Whole): number {
  return whole.partCount === 0 ? 1 : unchangedWith(whole, 1);
}

/** @param other the probability that a change of the component changes none of some other parts */
function unchangedWith(whole: Whole, other: number): number {
  const { changeProbability, allPartsShare, partsUnchangedProbability } = whole;
  const unchangedShare = (1 - allPartsShare) * partsUnchangedProbability * other;
  return 1 - changeProbability * (1 - unchangedShare);
}

/** Returns the probability that nothing changes in the union of two disjoint sets. */
export function jointProbability(a: Stability, b: Stability): number {
  const independent = a.unchangedProbability * b.unchangedProbability;
  if (a.wholes === undefined || b.wholes === undefined) {
    return independent;
  }
  return independent * correction(a.wholes, b.wholes);
}

/** By how much parts of the same components are more likely to stay than independent sets are. */
function correction(a: readonly Whole[], b: readonly Whole[]): number {
  let factor = 1;
  for (const whole of a) {
    for (const other of b) {
      if (other.id === whole.id) {
        const separate = unchangedProbability(whole) * unchangedProbability(other);
        factor *= unchangedWith(whole, other.partsUnchangedProbability) / separate;
      }
    }
  }
  return factor;
}

function together(a: Whole, b: Whole): Whole {
  return {
    ...a,
    partsUnchangedProbability: a.partsUnchangedProbability * b.partsUnchangedProbability,
    partCount: a.partCount + b.partCount,
  };
}

function apart(both: Whole, b: Whole): Whole {
  return {
    ...both,
    partsUnchangedProbability: both.partsUnchangedProbability / b.partsUnchangedProbability,
    partCount: both.partCount - b.partCount,
  };
}

/** Returns the stability of the union of two disjoint sets. */
export function joint(a: Stability, b: Stability): Stability {
  return {
    unchangedProbability: jointProbability(a, b),
    wholes: allWholes(a.wholes, b.wholes),
  };
}

/** Returns the stability of the union of disjoint sets, of which few hold parts. */
export function jointOf(sets: Iterable<Stability>): Stability {
  let product = 1;
  let withParts: Stability = { unchangedProbability: 1 };
  for (const set of sets) {
    if (set.wholes === undefined) {
      product *= set.unchangedProbability;
    } else {
      withParts = joint(withParts, set);
    }
  }
  const { unchangedProbability, wholes } = withParts;
  return { unchangedProbability: product * unchangedProbability, wholes };
}

function allWholes(
  a: readonly Whole[] | undefined,
  b: readonly Whole[] | undefined,
): readonly Whole[] | undefined {
  if (a === undefined || b === undefined) {
    return a ?? b;
  }
  const byId = new Map(a.map((whole) => [whole.id, whole]));
  for (const whole of b) {
    const other = byId.get(whole.id);
    byId.set(whole.id, other === undefined ? whole : together(other, whole));
  }
  return [...byId.values()];
}

/** Returns the probability for `set` without `member`, which it contains; not for a `set` of 0. */
export function probabilityWithout(set: Stability, member: Stability): number {
  const independent = set.unchangedProbability / member.unchangedProbability;
  if (member.wholes === undefined) {
    return independent;
  }
  let factor = 1;
  for (const whole of member.wholes) {
    const inSet = set.wholes?.find(({ id }) => id === whole.id);
    if (inSet !== undefined) {
      const left = unchangedProbability(apart(inSet, whole));
      const separate = left * unchangedProbability(whole);
      factor *= separate / unchangedProbability(inSet);
    }
  }
  return independent * factor;
}
