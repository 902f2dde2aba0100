/**
 * Partitions items into a bounded number of groups so that an update costs few expected bytes.
 *
 * Definitions
 *
 * - Item: what is placed as one, either the components of a source package or a whole layer of the
 *   previous image.
 * - Group: the items that share a layer.
 * - Unchanged probability: the probability that nothing in an item or group changes with the next
 *   update. `unchanged.ts` says which items change independently of each other.
 * - Expected bytes of a group: size x (1 - unchanged probability), if clients take every build; see
 *   `cost.ts` for others. Clients download a whole layer as soon as anything in it changes. The sum
 *   over all groups is what the partition minimizes.
 * - Relocation cost of an item: bytes that an update pays once if the item shares its group with
 *   any other item. A layer that clients already have costs nothing as long as it stays as it is.
 * - Cost increase of two groups: what their union costs more than the two alone, relocation costs
 *   included.
 *
 * Phases
 *
 * 1. Narrowing, only above {@link MAX_PAIRWISE} items: the groups, one for each item, are ordered
 *    by unchanged probability, and the two neighbors with the smallest cost increase are merged
 *    until few enough are left. What is merged here is small and changes about equally often.
 * 2. Agglomerative clustering: the two groups with the smallest cost increase are merged until
 *    `count` are left.
 * 3. Hill climbing: single items move to the group where they cost least, until no move gains
 *    anything.
 *
 * Costs
 *
 * Narrowing n items takes n scans of a list of n numbers. Clustering n <= MAX_PAIRWISE groups takes
 * on average n² steps and O(n) memory, because every group remembers its nearest partner among the
 * groups after it. Each round of climbing takes n x `count` steps; there are at most {@link
 * MAX_ROUNDS}.
 */
import { Costs } from './cost.js';
import {
  joint,
  jointOf,
  jointProbability,
  probabilityWithout,
  type Stability,
} from './unchanged.js';

/** What is placed as a whole. */
export interface Item extends Stability {
  /** Bytes. */
  readonly size: number;
  /** Bytes that clients download once if the item shares its group with another; 0 if undefined. */
  readonly relocationCost?: number | undefined;
}

interface Group extends Stability {
  size: number;
  relocationCost: number;
  /** Indices of the items. */
  members: readonly number[];
}

/**
 * Pairs of this many groups are compared in a fraction of a second. A distribution has 200 to 600
 * source packages.
 */
const MAX_PAIRWISE = 1000;
/**
 * A round of climbing rarely finds anything after the tenth; the bound is for inputs nobody has
 * seen.
 */
const MAX_ROUNDS = 50;
/** Bytes. A smaller gain is a rounding error. */
const MIN_GAIN = 1e-3;

/**
 * Returns the indices of `items` by group, in at most `count` groups (at least one). No group
 * exceeds the largest size of `costs` unless a single item does or `count` leaves no choice.
 */
export function partition(
  items: readonly Item[],
  count: number,
  costs = new Costs({}),
): (readonly number[])[] {
  const singles = items.map(groupOfOne);
  const narrowed = mergeNeighbors(singles, Math.max(MAX_PAIRWISE, count), costs);
  const groups = new Clustering(narrowed, costs).mergeUntil(Math.max(1, count));
  new HillClimbing(groups, items, costs).run();
  return groups.map((group) => group.members);
}

function groupOfOne(item: Item, i: number): Group {
  const { size, unchangedProbability, wholes, relocationCost = 0 } = item;
  return { unchangedProbability, wholes, size, relocationCost, members: [i] };
}

/** Returns both groups as one, without relocation cost: {@link Costs.increase} has counted it. */
function union(a: Group, b: Group): Group {
  const { unchangedProbability, wholes } = joint(a, b);
  const size = a.size + b.size;
  const members = [...a.members, ...b.members];
  return { unchangedProbability, wholes, size, relocationCost: 0, members };
}

/**
 * Phase 1: merges neighbors in the order of unchanged probability until at most `count` groups are
 * left.
 */
function mergeNeighbors(singles: Group[], count: number, costs: Costs): Group[] {
  if (singles.length <= count) {
    return singles;
  }
  const line = singles.toSorted(
    (a, b) => a.unchangedProbability - b.unchangedProbability || a.size - b.size,
  );
  /** Cost increase of group `i` and its right neighbor. */
  const increaseAt = (i: number): number => {
    const group = line[i];
    const neighbor = line[i + 1];
    return group === undefined || neighbor === undefined
      ? Infinity
      : costs.increase(group, neighbor);
  };

  const increases = line.map((_, i) => increaseAt(i));
  while (line.length > count) {
    const cheapest = indexOfSmallest(increases);
    line.splice(cheapest, 2, line.slice(cheapest, cheapest + 2).reduce(union));
    increases.splice(cheapest, 2, increaseAt(cheapest));
    if (cheapest > 0) {
      increases[cheapest - 1] = increaseAt(cheapest - 1);
    }
  }
  return line;
}

function indexOfSmallest(values: readonly number[]): number {
  let index = 0;
  let smallest = Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Infinity;
    if (value < smallest) {
      index = i;
      smallest = value;
    }
  }
  return index;
}

/** Phase 2: agglomerative clustering. */
class Clustering {
  readonly #groups: Group[];
  readonly #costs: Costs;
  /** Indices of the groups that are left, ascending. */
  readonly #alive: number[];
  /**
   * For each group, the later group with which its cost increase is smallest, and that increase.
   */
  readonly #nearestPartner: Int32Array;
  readonly #nearestIncrease: Float64Array;

  constructor(groups: readonly Group[], costs: Costs) {
    this.#groups = [...groups];
    this.#costs = costs;
    this.#alive = [...groups.keys()];
    this.#nearestPartner = new Int32Array(groups.length).fill(-1);
    this.#nearestIncrease = new Float64Array(groups.length).fill(Infinity);
  }

  mergeUntil(count: number): Group[] {
    if (this.#alive.length > count) {
      for (const i of this.#alive) {
        this.#findNearestPartner(i);
      }
    }
    while (this.#alive.length > count) {
      this.#mergeCheapestPair();
    }
    return this.#alive.map((i) => this.#group(i));
  }

  #group(i: number): Group {
    return this.#groups[i] as Group;
  }

  #increase(i: number): number {
    return this.#nearestIncrease[i] as number;
  }

  /** Looks at later groups only; the first of those with the smallest increase is taken. */
  #findNearestPartner(i: number): void {
    const group = this.#group(i);
    let nearest = Infinity;
    for (let k = this.#alive.length - 1; k >= 0; k--) {
      const j = this.#alive[k] as number;
      if (j <= i) {
        break;
      }
      const increase = this.#costs.increase(group, this.#group(j));
      if (increase > nearest) {
        continue;
      }
      nearest = increase;
      this.#nearestPartner[i] = j;
    }
    this.#nearestIncrease[i] = nearest;
  }

  #mergeCheapestPair(): void {
    const kept = this.#alive.reduce((a, b) => (this.#increase(b) < this.#increase(a) ? b : a));
    const absorbed = this.#nearestPartner[kept] as number;
    this.#alive.splice(this.#alive.indexOf(absorbed), 1);
    this.#groups[kept] = union(this.#group(kept), this.#group(absorbed));
    this.#findNearestPartner(kept);

    for (const i of this.#alive) {
      const partner = this.#nearestPartner[i];
      if (i === kept) {
        continue;
      }
      if (partner === absorbed || partner === kept) {
        this.#findNearestPartner(i);
      } else if (i < kept) {
        this.#offerPartner(i, kept);
      }
    }
  }

  /** Group `candidate` has changed: it may now be the nearest partner of `i`. */
  #offerPartner(i: number, candidate: number): void {
    const increase = this.#costs.increase(this.#group(i), this.#group(candidate));
    if (increase < this.#increase(i)) {
      this.#nearestIncrease[i] = increase;
      this.#nearestPartner[i] = candidate;
    }
  }
}

/** Phase 3: hill climbing. Changes the groups in place. */
class HillClimbing {
  readonly #groups: readonly Group[];
  readonly #items: readonly Item[];
  readonly #costs: Costs;

  constructor(groups: readonly Group[], items: readonly Item[], costs: Costs) {
    this.#groups = groups;
    this.#items = items;
    this.#costs = costs;
  }

  run(): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (!this.#round()) {
        return;
      }
    }
  }

  /** Moves each item at most once. Returns whether any item moved. */
  #round(): boolean {
    let hasMoved = false;
    for (const from of this.#groups) {
      for (const i of from.members) {
        if (from.members.length === 1) {
          break;
        }
        const to = this.#cheaperGroup(i, from);
        if (to !== undefined) {
          this.#move(i, from, to);
          hasMoved = true;
        }
      }
    }
    return hasMoved;
  }

  /** The group in which item `i` costs least, if that is less than what it costs in `from`. */
  #cheaperGroup(i: number, from: Group): Group | undefined {
    const item = this.#item(i);
    const saved =
      this.#costs.expectedBytes(from.size, from.unchangedProbability) -
      this.#costs.expectedBytes(from.size - item.size, this.#probabilityWithout(i, from));

    let cheapest: Group | undefined;
    let leastCost = saved - MIN_GAIN;
    for (const group of this.#groups) {
      const size = group.size + item.size;
      if (group === from || size > this.#costs.maxSize) {
        continue;
      }
      const cost =
        this.#costs.expectedBytes(size, jointProbability(group, item)) -
        this.#costs.expectedBytes(group.size, group.unchangedProbability) +
        group.relocationCost;
      if (cost < leastCost) {
        cheapest = group;
        leastCost = cost;
      }
    }
    return cheapest;
  }

  /**
   * Returns the unchanged probability of `group` without item `i`. It is divided where possible,
   * because multiplying anew for each of thousands of members takes seconds.
   */
  #probabilityWithout(i: number, group: Group): number {
    if (group.unchangedProbability > 0) {
      return probabilityWithout(group, this.#item(i));
    }
    return this.#stability(group.members.filter((member) => member !== i)).unchangedProbability;
  }

  #stability(members: readonly number[]): Stability {
    return jointOf(members.map((i) => this.#item(i)));
  }

  #move(i: number, from: Group, to: Group): void {
    const item = this.#item(i);
    const rest = from.members.filter((member) => member !== i);
    from.size -= item.size;
    // Not divided: errors of rounding would add up, and the probability may be 0.
    Object.assign(from, this.#stability(rest));
    from.members = rest;
    Object.assign(to, union(to, groupOfOne({ ...item, relocationCost: 0 }, i)));
  }

  #item(i: number): Item {
    return this.#items[i] as Item;
  }
}
