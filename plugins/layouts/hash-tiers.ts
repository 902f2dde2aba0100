/**
 * Layout strategy `hash-tiers`, the algorithm of chunkah 0.6: source packages much larger than most
 * get layers of their own; the others are sorted into three tiers of stability, and within a tier a
 * hash of the name chooses the layer. It needs no previous build and uses none.
 */
import { type Component, compareUtf8, type LayoutStrategy } from '../../src/plugin.js';
import { deviation, mean, median, medianDeviation } from './statistics.js';

/** Sizes of at least the median + 1.5 median deviations are outliers. */
const SIZE_OUTLIER = 1.5;
/**
 * If the median deviation is below this share of the median, sizes hardly differ, and the median
 * stands in for it.
 */
const MIN_DEVIATION = 0.01;
/** At most this share of the layers is for outliers. */
const MAX_OUTLIER_SHARE = 0.8;
/** A week, as a part of a year: stability is the probability of no change within it. */
const PERIOD = 7 / 365;
/** The stability of what had no change within a year. */
const MAX_STABILITY = 0.99;

/** A source package. */
interface Source {
  /** As chunkah names its components. */
  readonly name: string;
  readonly ids: readonly string[];
  readonly size: number;
  readonly stability: number;
}

export const hashTiers: LayoutStrategy = {
  name: 'hash-tiers',
  description: 'large packages alone, the rest by stability and a hash of the name (chunkah)',
  plan: (components, { maxLayers }) => ({
    layers: layersOf(sourcesOf(components), maxLayers).map((layer) => ({
      components: layer.flatMap(({ ids }) => ids),
    })),
  }),
};

function sourcesOf(components: readonly Component[]): Source[] {
  const bySource = new Map<string, Component[]>();
  for (const component of components.toSorted((a, b) => compareUtf8(a.id, b.id))) {
    const members = bySource.get(component.source) ?? [];
    bySource.set(component.source, members);
    members.push(component);
  }
  return [...bySource].map(([source, members]) => ({
    name: `rpm/${source}`,
    ids: members.map(({ id }) => id),
    size: members.reduce((sum, { size }) => sum + size, 0),
    stability: Math.min(...members.map(({ changesPerYear }) => stability(changesPerYear))),
  }));
}

function stability(changesPerYear: number): number {
  return changesPerYear === 0 ? MAX_STABILITY : Math.exp(-changesPerYear * PERIOD);
}

function layersOf(sources: readonly Source[], maxLayers: number): Source[][] {
  if (sources.length <= maxLayers) {
    return sources.map((source) => [source]);
  }

  const minOutlier = minOutlierSize(sources.map(({ size }) => size));
  const outliers = sources.filter(({ size }) => size >= minOutlier);
  outliers.sort((a, b) => b.size - a.size);
  const others = sources.filter(({ size }) => size < minOutlier);

  const layersForOthers = others.length > 0 ? 1 : 0;
  const singleCount = Math.floor((maxLayers - layersForOthers) * MAX_OUTLIER_SHARE);
  const singles = outliers.slice(0, singleCount).map((source) => [source]);
  const rest = [...others, ...outliers.slice(singleCount)];
  return rest.length > 0
    ? [...singles, ...tieredLayers(rest, maxLayers - singles.length)]
    : singles;
}

function minOutlierSize(sizes: readonly number[]): number {
  const middle = median(sizes);
  const spread = medianDeviation(sizes);
  return middle + SIZE_OUTLIER * (spread < middle * MIN_DEVIATION ? middle : spread);
}

function tieredLayers(sources: readonly Source[], count: number): Source[][] {
  if (sources.length <= count) {
    return sources.map((source) => [source]);
  }

  const tiers = tiersOf(sources);
  if (count < tiers.length) {
    return hashedLayers(sources, count);
  }

  let left = count;
  return tiers.flatMap((tier, i) => {
    const following = tiers.length - 1 - i;
    const proportional = Math.max(1, Math.round((tier.length / sources.length) * count));
    const share = following === 0 ? left : Math.min(proportional, left - following);
    left -= share;
    return hashedLayers(tier, share);
  });
}

/** The tiers of high, medium and low stability that have members. */
function tiersOf(sources: readonly Source[]): (readonly Source[])[] {
  const all = sources.map((source) => source.stability);
  const high = mean(all) + deviation(all);
  const low = mean(all) - deviation(all);
  const tiers = [
    sources.filter((source) => source.stability >= high),
    sources.filter((source) => source.stability < high && source.stability > low),
    sources.filter((source) => source.stability < high && source.stability <= low),
  ];
  return tiers.filter((tier) => tier.length > 0);
}

/**
 * Chooses layers by a hash of the name. Layers that stay empty get the largest sources from layers
 * that have several.
 */
function hashedLayers(sources: readonly Source[], count: number): Source[][] {
  const layers: Source[][] = Array.from({ length: count }, () => []);
  for (const source of sources) {
    layers[Number(fnv1a(source.name) % BigInt(count))]?.push(source);
  }

  for (const empty of layers.filter((layer) => layer.length === 0).reverse()) {
    const largest = takeLargest(layers.filter((layer) => layer.length > 1));
    if (largest === undefined) {
      break;
    }
    empty.push(largest);
  }
  return layers.filter((layer) => layer.length > 0);
}

/** Removes the largest source from its layer and returns it; of equally large ones, the last. */
function takeLargest(layers: readonly Source[][]): Source | undefined {
  let largest: Source | undefined;
  let layerOfLargest: Source[] = [];
  for (const layer of layers) {
    for (const source of layer) {
      if (largest === undefined || source.size >= largest.size) {
        largest = source;
        layerOfLargest = layer;
      }
    }
  }
  if (largest !== undefined) {
    layerOfLargest.splice(layerOfLargest.indexOf(largest), 1);
  }
  return largest;
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/**
 * FNV-1a with 64 bits over the name and the byte 0xff, which Rust appends to strings that it
 * hashes.
 */
function fnv1a(text: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of [...Buffer.from(text), 0xff]) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  }
  return hash;
}
