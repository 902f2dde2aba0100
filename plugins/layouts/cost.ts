/**
 * What layers cost: the bytes that clients are expected to fetch with each build.
 *
 * A client that takes every k-th build fetches a layer if any of k updates changes anything in it.
 * With q the probability that one update changes nothing, that happens with the probability
 * 1 - q^k, so the client fetches (1 - q^k) / k of the layer with each build, on average. Updates
 * are taken for independent of each other, so the same holds for parts of a component, although
 * these depend on each other within one update.
 *
 * The larger k is, the less it matters what else is in a layer that nearly every update changes,
 * and the more it matters that content which hardly changes lies apart.
 */
import { jointProbability, type Stability } from './unchanged.js';

/** Returns the share of a layer that clients fetch with each build, from the q above. */
type FetchedShare = (unchangedProbability: number) => number;

/** What clients fetch that take every build. */
const fetchedFromEveryBuild: FetchedShare = (unchangedProbability) => 1 - unchangedProbability;

function fetchedShare(cadences: readonly number[]): FetchedShare {
  const others = cadences.filter((cadence) => cadence !== 1);
  if (others.length === 0) {
    return fetchedFromEveryBuild;
  }
  const everyBuild = cadences.length - others.length;
  return (unchangedProbability) => {
    let sum = everyBuild * (1 - unchangedProbability);
    for (const cadence of others) {
      sum += (1 - unchangedProbability ** cadence) / cadence;
    }
    return sum / cadences.length;
  };
}

/** Components that share a layer or may do so. */
interface Sized extends Stability {
  /** Bytes. */
  readonly size: number;
  /** Bytes that clients download once if they share a layer with any others. */
  readonly relocationCost: number;
}

interface CostOptions {
  /** Bytes that no layer should exceed. */
  readonly maxSize?: number | undefined;
  /** The k of clients, all of them equally many; every build if there are none. */
  readonly cadences?: readonly number[] | undefined;
}

/** The costs of layers. */
export class Costs {
  readonly maxSize: number;
  readonly #fetchedShare: FetchedShare;

  constructor({ maxSize = Infinity, cadences = [] }: CostOptions) {
    this.maxSize = maxSize;
    this.#fetchedShare = fetchedShare(cadences);
  }

  /** Bytes that clients are expected to fetch of a layer with each build. */
  expectedBytes(size: number, unchangedProbability: number): number {
    return size * this.#fetchedShare(unchangedProbability);
  }

  /**
   * Returns what the union of two layers costs more than the two alone. A union above the largest
   * size costs more than any within it, but a finite amount: the number of layers may leave no
   * choice.
   */
  increase(a: Sized, b: Sized): number {
    const size = a.size + b.size;
    if (size > this.maxSize) {
      return Number.MAX_SAFE_INTEGER + size;
    }
    return (
      this.expectedBytes(size, jointProbability(a, b)) -
      this.expectedBytes(a.size, a.unchangedProbability) -
      this.expectedBytes(b.size, b.unchangedProbability) +
      a.relocationCost +
      b.relocationCost
    );
  }
}
