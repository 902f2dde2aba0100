/**
 * Compares simulated layouts update by update. How much an update changes matters far more than the
 * layout does, so two layouts are compared on the same updates, and only their differences count.
 *
 * The interval is that of a circular block bootstrap. With a lag of n, an update shares n - 1
 * builds with the next one, so blocks of n updates are drawn. The draws are those of a fixed
 * generator: the same updates give the same interval.
 */
import { must } from '../errors.js';
import { quantile, type SimulationRun } from './simulate.js';

const DRAWS = 2000;
/** Of all draws, this share lies below the interval, and as much above it. */
const TAIL = 0.025;
/**
 * With fewer independent updates there is no interval: that all of them differ in one direction
 * would be chance more often than once in twenty times.
 */
const MIN_BLOCKS = 6;
const SEED = 0x9e3779b9;

interface Layout {
  readonly strategy: string;
  readonly maxLayers: number;
}

/** A simulated layout beside others of the same series and lag. */
export interface Comparison extends Layout {
  readonly series: string;
  readonly lag: number;
  /** Beside the layouts with as many layers. */
  readonly sameLayers: PairedDifference;
  /** Beside all layouts. */
  readonly all: PairedDifference;
}

/** How much more a layout costs than the one that costs least. */
export interface PairedDifference {
  /** The layout that costs least; of several, the first. */
  readonly best: Layout;
  /** Bytes that an update costs more on average. */
  readonly bytes: number;
  /** The same in percent of what an update costs with the best layout; 0 if that is 0. */
  readonly percent: number;
  /** Ends of the 95 % interval of the percentage; undefined if there are too few updates. */
  readonly interval?: { readonly low: number; readonly high: number } | undefined;
}

/**
 * Compares the runs of each series and lag, if there are several, in the order of the runs. Without
 * any update, there is nothing to compare.
 */
export function comparisonsOf(runs: readonly SimulationRun[]): readonly Comparison[] {
  const withUpdates = runs.filter(({ updates }) => updates.length > 0);
  const groups = groupedBy(withUpdates, ({ series, lag }) => [series, lag]);
  return groups.filter(({ length }) => length > 1).flatMap(compareGroup);
}

function groupedBy(
  runs: readonly SimulationRun[],
  keyOf: (result: SimulationRun['result']) => unknown,
): readonly (readonly SimulationRun[])[] {
  const groups = new Map<string, SimulationRun[]>();
  for (const run of runs) {
    const key = JSON.stringify(keyOf(run.result));
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(run);
  }
  return [...groups.values()];
}

function compareGroup(runs: readonly SimulationRun[]): readonly Comparison[] {
  const best = bestOf(runs);
  const draws = drawnUpdates(best.updates.length, best.result.lag);
  return runs.map((run) => {
    const { series, strategy, maxLayers, lag } = run.result;
    const sameLayers = runs.filter(({ result }) => result.maxLayers === maxLayers);
    return {
      series,
      strategy,
      maxLayers,
      lag,
      sameLayers: pairedDifference(run, bestOf(sameLayers), draws),
      all: pairedDifference(run, best, draws),
    };
  });
}

function bestOf(runs: readonly SimulationRun[]): SimulationRun {
  const sorted = runs.toSorted((a, b) => a.result.bytes - b.result.bytes);
  return must(sorted[0], 'a run');
}

function pairedDifference(
  { result, updates }: SimulationRun,
  { result: bestResult, updates: bestUpdates }: SimulationRun,
  draws: readonly (readonly number[])[],
): PairedDifference {
  const { strategy, maxLayers } = bestResult;
  const bestBytes = bestUpdates.map(({ bytes }) => bytes);
  const differences = updates.map(({ bytes }, i) => {
    const least = bestBytes[i] ?? 0;
    return bytes - least;
  });
  const percentages = draws.map((indices) => {
    const more = sumAt(differences, indices);
    const whole = sumAt(bestBytes, indices);
    return percent(more, whole);
  });
  return {
    best: { strategy, maxLayers },
    bytes: result.mean - bestResult.mean,
    percent: percent(result.bytes - bestResult.bytes, bestResult.bytes),
    interval: percentages.length === 0 ? undefined : intervalOf(percentages),
  };
}

function percent(part: number, whole: number): number {
  return whole > 0 ? (100 * part) / whole : 0;
}

function intervalOf(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b);
  const low = quantile(sorted, TAIL);
  const high = quantile(sorted, 1 - TAIL);
  return { low, high };
}

function sumAt(values: readonly number[], indices: readonly number[]): number {
  let sum = 0;
  for (const index of indices) {
    sum += values[index] ?? 0;
  }
  return sum;
}

/** Returns indices of as many updates as there are, drawn in blocks, for each draw. */
function drawnUpdates(count: number, blockLength: number): readonly (readonly number[])[] {
  if (count < MIN_BLOCKS * blockLength) {
    return [];
  }
  const random = generator(SEED);
  const draws: number[][] = [];
  while (draws.length < DRAWS) {
    const blocks: number[] = [];
    while (blocks.length < count) {
      const start = Math.floor(random() * count);
      for (let i = 0; i < blockLength; i++) {
        const index = (start + i) % count;
        blocks.push(index);
      }
    }
    const draw = blocks.slice(0, count);
    draws.push(draw);
  }
  return draws;
}

/** The generator mulberry32: numbers of at least 0 and below 1. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const bits = (mixed ^ (mixed >>> 14)) >>> 0;
    return bits / 2 ** 32;
  };
}
