/**
 * A layout for trees without a previous image, in the manner of chunkah: it follows from what
 * hardly changes, so that a change of one source's size or rate moves few others, although no
 * record says where a source was before.
 *
 * Definitions
 *
 * - Source: a source package with all its components.
 * - Expected bytes of a layer: its size x the probability that any of its sources changes with the
 *   next update, for clients that take every build; see `cost.ts` for others.
 * - Power of a quantity: its logarithm to the base {@link STEP}, rounded. Decisions are made on
 *   powers, because finer quantities wander with every line of a changelog.
 * - Tier: sources with the same power of (change probability / root of size). A layer costs its
 *   bytes times its changes, so large and rarely changed sources belong apart from small and often
 *   changed ones. With tiers by probability alone, clients would download each large source for the
 *   sake of many small ones.
 *
 * Phases, for every number of layers from 1 to the maximum
 *
 * 1. The sources with the largest weight, size x root of the change probability, get layers of
 *    their own.
 * 2. The others are sorted into tiers, and each tier gets a share of the remaining layers.
 * 3. Within a tier, rendezvous hashing of the name chooses the layer: with one layer more or less,
 *    only the sources of that layer move.
 *
 * Among these layouts, the one with the most layers is taken whose expected bytes exceed the
 * minimum by at most {@link TOLERANCE}: with few sources, chance can make fewer layers cheaper.
 *
 * Costs: n sources and m layers take O(n m²) comparisons and n m hashes.
 */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../../src/plugin.js';
import { Costs } from './cost.js';

/** A source package as this layout places it. */
export interface Source {
  readonly name: string;
  /** Ids of its components. */
  readonly ids: readonly string[];
  /** Bytes. */
  readonly size: number;
  /** The probability that it does not change with the next update. */
  readonly unchangedProbability: number;
}

/**
 * Share of the layers that hold a single source. Shares between 0.5 and 0.75 differ by 0.01 in the
 * cost ratio.
 */
const SINGLE_SHARE = 0.6;
/** Base of the powers to which quantities are rounded. */
const STEP = 8;
/** Smaller quantities have the power of this one, because 0 has no logarithm. */
const MIN_QUANTITY = 1e-9;
const TOLERANCE = 0.01;

/** Returns component ids by layer, in at most `maxLayers` layers. */
export function stableLayers(
  sources: readonly Source[],
  maxLayers: number,
  costs = new Costs({}),
): string[][] {
  if (sources.length <= maxLayers) {
    return sources.map(({ ids }) => [...ids]);
  }

  const ranked = rank(sources);
  const hashes = rememberedHashes();
  const candidates = Array.from({ length: maxLayers }, (_, i) => {
    const layers = layersOf(ranked, i + 1, hashes);
    return { layers, cost: total(layers, (layer) => expectedBytes(layer, costs)) };
  });
  const cheapest = Math.min(...candidates.map(({ cost }) => cost));
  const limit = cheapest * (1 + TOLERANCE);
  // Not `cost <= limit`: if a plugin's facts make a cost NaN, all layers are used.
  const chosen = candidates.findLast(({ cost }) => !(cost > limit));
  const layers = chosen?.layers ?? [];
  return layers.map((layer) => layer.flatMap(({ ids }) => ids));
}

interface RankedSource {
  readonly source: Source;
  readonly tier: number;
}

/**
 * By weight, the heaviest first. Size counts for more than the rate: it is known exactly, and
 * changes less.
 */
function rank(sources: readonly Source[]): RankedSource[] {
  const ranked = sources.map((source) => ({
    source,
    tier: tierOf(source),
    weight: weightOf(source),
  }));
  return ranked.sort((a, b) => {
    const byWeight = b.weight - a.weight;
    return byWeight || compareUtf8(a.source.name, b.source.name);
  });
}

function weightOf(source: Source): number {
  const power = powerOf(changeProbability(source));
  const probability = STEP ** power;
  return source.size * Math.sqrt(probability);
}

/** The layout with `count` layers, or fewer if hashing leaves some empty. */
function layersOf(ranked: readonly RankedSource[], count: number, hashes: Hashes): Source[][] {
  const singleCount = Math.floor(SINGLE_SHARE * count);
  const singles = ranked.slice(0, singleCount).map(({ source }) => [source]);

  const tiers = tiersOf(ranked.slice(singleCount));
  const shared = count - singleCount;
  if (shared < tiers.length) {
    return [...singles, ...layersByHash(tiers.flat(), shared, hashes)];
  }
  const shares = layerShares(tiers, shared);
  const sharedLayers = tiers.flatMap((tier, i) => {
    const share = shares[i] ?? 0;
    return layersByHash(tier, share, hashes);
  });
  return [...singles, ...sharedLayers];
}

/** The members of each tier, the most often changed tier first. */
function tiersOf(ranked: readonly RankedSource[]): Source[][] {
  const tiers = new Map<number, Source[]>();
  for (const { source, tier } of ranked) {
    const members = tiers.get(tier) ?? [];
    tiers.set(tier, members);
    members.push(source);
  }
  const sorted = [...tiers].sort(([a], [b]) => b - a);
  return sorted.map(([, members]) => members);
}

/**
 * The number of layers for each tier, at least one, `count` in all. One of n layers of a tier with
 * S bytes and C expected changes costs about S C / n², all n of them S C / n. The sum over all
 * tiers is smallest if n is proportional to the root of S C.
 */
function layerShares(tiers: readonly (readonly Source[])[], count: number): number[] {
  const weights = tiers.map((tier) => {
    const bytes = total(tier, ({ size }) => size);
    const changes = total(tier, changeProbability);
    return Math.sqrt(bytes * changes);
  });
  const totalWeight = total(weights, (weight) => weight) || 1;

  let left = count;
  return weights.map((weight, i) => {
    const following = tiers.length - 1 - i;
    if (following === 0) {
      return left;
    }
    const proportional = Math.round((weight / totalWeight) * count);
    const most = left - following;
    const share = Math.max(1, Math.min(most, proportional));
    left -= share;
    return share;
  });
}

/**
 * Rendezvous hashing: each source goes into the layer with the highest hash. Layers that stay empty
 * are left out.
 */
function layersByHash(sources: readonly Source[], count: number, hashes: Hashes): Source[][] {
  const layers: Source[][] = Array.from({ length: count }, () => []);
  for (const source of sources) {
    const hashesOfSource = hashes(source.name, count);
    const index = indexOfLargest(hashesOfSource, count);
    layers[index]?.push(source);
  }
  return layers.filter((layer) => layer.length > 0);
}

/** The index of the largest of the first `count` values. */
function indexOfLargest(values: readonly number[], count: number): number {
  let index = 0;
  let largest = -1;
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? -1;
    if (value > largest) {
      index = i;
      largest = value;
    }
  }
  return index;
}

/** Returns the hashes of a name with the layer numbers from 0; at least `count` of them. */
type Hashes = (name: string, count: number) => readonly number[];

/** Computes each hash once: layouts of different numbers of layers need the same ones. */
function rememberedHashes(): Hashes {
  const known = new Map<string, number[]>();
  return (name, count) => {
    const hashes = known.get(name) ?? [];
    known.set(name, hashes);
    for (let layer = hashes.length; layer < count; layer++) {
      const sha256 = createHash('sha256').update(`${name}\0${layer}`);
      const hash = sha256.digest().readUInt32BE();
      hashes.push(hash);
    }
    return hashes;
  };
}

function expectedBytes(layer: readonly Source[], costs: Costs): number {
  let unchangedProbability = 1;
  for (const source of layer) {
    unchangedProbability *= source.unchangedProbability;
  }
  const bytes = total(layer, ({ size }) => size);
  return costs.expectedBytes(bytes, unchangedProbability);
}

function changeProbability({ unchangedProbability }: Source): number {
  return 1 - unchangedProbability;
}

function tierOf(source: Source): number {
  const size = Math.max(source.size, 1);
  return powerOf(changeProbability(source) / Math.sqrt(size));
}

function powerOf(value: number): number {
  const quantity = Math.max(value, MIN_QUANTITY);
  const power = Math.log(quantity) / Math.log(STEP);
  return Math.round(power);
}

function total<T>(values: readonly T[], amount: (value: T) => number): number {
  return values.reduce((sum, value) => sum + amount(value), 0);
}
