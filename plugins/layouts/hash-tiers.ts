/**
 * The algorithm of chunkah 0.6: source packages much larger than most alone, the others in three tiers of stability,
 * within a tier by a hash of the name. No previous build is needed, and none is used.
 */
import { compareUtf8 } from '../../src/bytes/text.js';
import type { Component, LayoutStrategy } from '../../src/plugin.js';
import { deviation, mean, median, medianDeviation } from './statistics.js';

/** A size is an outlier from median + 1.5 median deviations on. */
const SIZE_OUTLIER = 1.5;
/** A median deviation below this share of the median is none: the median stands in for it. */
const MIN_DEVIATION = 0.01;
/** At most this share of the layers is for outliers. */
const MAX_ALONE = 0.8;
/** Stability is the probability of no change within a week; a year without change makes 0.99. */
const DAYS = 7 / 365;
const MAX_STABILITY = 0.99;

interface Item {
  readonly name: string;
  readonly ids: readonly string[];
  readonly size: number;
  readonly stability: number;
}

export const hashTiers: LayoutStrategy = {
  name: 'hash-tiers',
  description: 'large packages alone, the rest by stability and a hash of the name (chunkah)',
  plan: (components, { maxLayers }) => ({
    layers: pack(itemsOf(components), maxLayers).map((items) => ({
      components: items.flatMap(({ ids }) => ids),
    })),
  }),
};

function itemsOf(components: readonly Component[]): Item[] {
  const sources = new Map<string, Component[]>();
  for (const component of components.toSorted((a, b) => compareUtf8(a.id, b.id))) {
    sources.set(component.source, [...(sources.get(component.source) ?? []), component]);
  }
  return [...sources].map(([source, members]) => ({
    name: `rpm/${source}`,
    ids: members.map(({ id }) => id),
    size: members.reduce((sum, { size }) => sum + size, 0),
    stability: Math.min(...members.map(({ changesPerYear }) => stability(changesPerYear))),
  }));
}

const stability = (changesPerYear: number): number =>
  changesPerYear === 0 ? MAX_STABILITY : Math.exp(-changesPerYear * DAYS);

function pack(items: readonly Item[], bins: number): Item[][] {
  if (items.length <= bins) {
    return items.map((item) => [item]);
  }
  const sizes = items.map(({ size }) => size);
  const middle = median(sizes);
  const spread = medianDeviation(sizes);
  const limit = middle + SIZE_OUTLIER * (spread < middle * MIN_DEVIATION ? middle : spread);
  const outliers = items.filter(({ size }) => size >= limit).sort((a, b) => b.size - a.size);
  const others = items.filter(({ size }) => size < limit);
  const alone = Math.floor((bins - (others.length > 0 ? 1 : 0)) * MAX_ALONE);
  const rest = [...others, ...outliers.slice(alone)];
  const layers = outliers.slice(0, alone).map((item) => [item]);
  return [...layers, ...(rest.length > 0 ? packTiers(rest, bins - layers.length) : [])];
}

function packTiers(items: readonly Item[], bins: number): Item[][] {
  if (items.length <= bins) {
    return items.map((item) => [item]);
  }
  const all = items.map((item) => item.stability);
  const [high, low] = [mean(all) + deviation(all), mean(all) - deviation(all)];
  const tiers = [
    items.filter((item) => item.stability >= high),
    items.filter((item) => item.stability < high && item.stability > low),
    items.filter((item) => item.stability < high && item.stability <= low),
  ].filter((tier) => tier.length > 0);
  if (bins < tiers.length) {
    return hashed(items, bins);
  }
  let left = bins;
  return tiers.flatMap((tier, i) => {
    const following = tiers.length - 1 - i;
    const share = Math.max(1, Math.round((tier.length / items.length) * bins));
    const own = following === 0 ? left : Math.min(share, left - following);
    left -= own;
    return hashed(tier, own);
  });
}

/** By hash of the name; bins that stay empty get the largest items of bins with several. */
function hashed(items: readonly Item[], count: number): Item[][] {
  const bins: Item[][] = Array.from({ length: count }, () => []);
  for (const item of items) {
    bins[Number(fnv1a(item.name) % BigInt(count))]?.push(item);
  }
  for (const empty of bins.filter((bin) => bin.length === 0).reverse()) {
    const shared = bins.filter((bin) => bin.length > 1);
    const largest = shared
      .flat()
      .reduce<Item | undefined>((a, b) => (a && a.size > b.size ? a : b), undefined);
    const from = shared.find((bin) => bin.includes(largest as Item));
    if (largest === undefined || from === undefined) {
      break;
    }
    from.splice(from.indexOf(largest), 1);
    empty.push(largest);
  }
  return bins.filter((bin) => bin.length > 0);
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
/** FNV-1a, 64 bits, of the name and, as Rust hashes strings, the byte 0xff. */
function fnv1a(text: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of [...Buffer.from(text), 0xff]) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  }
  return hash;
}
