/**
 * A layout for trees without a previous image, in the manner of chunkah: nobody remembers where a component was, so its
 * place must follow from what hardly changes. A change of one component's size or rate moves few others.
 */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../../src/bytes/text.js';

export interface Placeable {
  readonly name: string;
  readonly ids: readonly string[];
  readonly size: number;
  /** The probability that it does not change with the next update. */
  readonly stays: number;
}

/** Share of the layers for single sources. Scores between 0.5 and 0.75 differ by 0.01. */
const ALONE = 0.6;
/** Quantities are rounded to powers of this: finer ones wander with every line of a changelog. */
const STEP = 8;

/** Fewer layers than allowed are taken where they cost less by more than this share: chance may do that with few sources. */
const MORE_MAY_COST = 0.01;

/** Ids by layer, at most `maxLayers`; what the least of fewer layers would cost is not exceeded by more than 1 %. */
export function stableLayers(items: readonly Placeable[], maxLayers: number): string[][] {
  if (items.length <= maxLayers) {
    return items.map(({ ids }) => [...ids]);
  }
  // Size counts for more: it is known, and changes less than a rate does.
  const sorted = items
    .map((item) => ({
      item,
      weight: item.size * Math.sqrt(STEP ** powerOf(1 - item.stays)),
      tier: tierOf(item),
    }))
    .sort((a, b) => b.weight - a.weight || compareUtf8(a.item.name, b.item.name));
  const hashes = rememberedHashes();
  const layouts = Array.from({ length: maxLayers }, (_, i) => layersOf(sorted, i + 1, hashes));
  const costs = layouts.map((layers) => total(layers, cost));
  const most = Math.min(...costs) * (1 + MORE_MAY_COST);
  // Not "at most": where a cost is not a number, all layers are taken.
  const chosen = layouts.findLast((_, i) => !((costs[i] as number) > most)) as Placeable[][];
  return chosen.map((layer) => layer.flatMap(({ ids }) => ids));
}

interface Sorted {
  readonly item: Placeable;
  readonly tier: number;
}

/** Expected bytes. */
const cost = (layer: readonly Placeable[]): number =>
  total(layer, ({ size }) => size) * (1 - layer.reduce((product, { stays }) => product * stays, 1));

/** Large and volatile sources alone, the others in {@link tierOf tiers}, within a tier by hash of the name. */
function layersOf(sorted: readonly Sorted[], count: number, hashes: Hashes): Placeable[][] {
  const alone = Math.floor(ALONE * count);
  const tiers = new Map<number, Placeable[]>();
  for (const { item, tier } of sorted.slice(alone)) {
    const members = tiers.get(tier) ?? [];
    tiers.set(tier, members);
    members.push(item);
  }
  const byTier = [...tiers].sort(([a], [b]) => b - a).map(([, tier]) => tier);
  const bins = count - alone;
  const binned =
    bins < byTier.length
      ? byHash(byTier.flat(), bins, hashes)
      : shares(byTier, bins).flatMap((share, i) => byHash(byTier[i] as Placeable[], share, hashes));
  return [...sorted.slice(0, alone).map(({ item }) => [item]), ...binned];
}

/**
 * A layer costs its bytes times its changes: least where large and seldom changed sources are apart from small and often
 * changed ones. Tiers by probability alone have each large source fetched for the sake of many small ones.
 */
const tierOf = ({ size, stays }: Placeable): number =>
  powerOf((1 - stays) / Math.sqrt(Math.max(size, 1)));

const powerOf = (value: number): number =>
  Math.round(Math.log(Math.max(value, 1e-9)) / Math.log(STEP));

/**
 * Bins for each tier, at least one. One of n bins with bytes S and changes L costs about S L / n^2, all of them S L / n:
 * the sum over tiers is least where n is in proportion to the root of S L.
 */
function shares(tiers: readonly (readonly Placeable[])[], bins: number): number[] {
  const weights = tiers.map((tier) =>
    Math.sqrt(total(tier, ({ size }) => size) * total(tier, ({ stays }) => 1 - stays)),
  );
  const all = weights.reduce((sum, each) => sum + each, 0) || 1;
  let left = bins;
  return weights.map((weight, i) => {
    const following = tiers.length - 1 - i;
    const share = Math.round((weight / all) * bins);
    const own = following === 0 ? left : Math.max(1, Math.min(left - following, share));
    left -= own;
    return own;
  });
}

const total = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((sum, item) => sum + value(item), 0);

/** Rendezvous hashing: with one bin more or less, only what it holds moves. */
function byHash(items: readonly Placeable[], count: number, hashes: Hashes): Placeable[][] {
  const bins: Placeable[][] = Array.from({ length: count }, () => []);
  for (const item of items) {
    const scores = hashes(item.name, count);
    let best = 0;
    for (let bin = 1; bin < count; bin++) {
      if ((scores[bin] as number) > (scores[best] as number)) {
        best = bin;
      }
    }
    bins[best]?.push(item);
  }
  return bins.filter((bin) => bin.length > 0);
}

/** Of a name with at least the first `count` bins. */
type Hashes = (name: string, count: number) => readonly number[];

/** Layouts of any number of layers ask for the same. */
function rememberedHashes(): Hashes {
  const known = new Map<string, number[]>();
  return (name, count) => {
    const hashes = known.get(name) ?? [];
    known.set(name, hashes);
    for (let bin = hashes.length; bin < count; bin++) {
      hashes.push(createHash('sha256').update(`${name}\0${bin}`).digest().readUInt32BE());
    }
    return hashes;
  };
}
