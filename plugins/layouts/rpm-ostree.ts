/**
 * Layout strategies `rpm-ostree` and `rpm-ostree-fresh`, the algorithm of ostree-rs-ext.
 *
 * With a previous image, its layers are kept and new packages go into the last one, which is
 * reserved for them. Without one, or if it has too many layers:
 *
 * 1. Components that change in every build share a layer.
 * 2. The largest get layers of their own, and the smallest share one.
 * 3. The medium ones are partitioned by the classes of their size and change frequency, and each
 *    partition is cut into layers of equally many components.
 * 4. Neighboring layers are merged until there are few enough; an empty layer is reserved for
 *    packages to come.
 */
import {
  type Component,
  compareUtf8,
  type Layout,
  type LayoutLimits,
  type LayoutStrategy,
} from '../../src/plugin.js';
import { deviation, mean, median, medianDeviation } from './statistics.js';

/** With fewer layers rpm-ostree does not split. */
const MIN_LAYERS = 4;
/** Share of the layers for large packages, which rpm-ostree computes in single precision. */
const LARGE_SHARE = Math.fround(0.6);
/** Outliers lie at least this many deviations from the middle. */
const OUTLIER_DEVIATIONS = 2;

/** The components of one layer. */
type Bin = readonly Component[];

export const rpmOstree: LayoutStrategy = {
  name: 'rpm-ostree',
  description:
    'the previous layers, new packages in a reserved one; ' +
    'at first by size and frequency (rpm-ostree)',
  plan: (components, limits) =>
    keepPreviousLayers(components, limits) ?? planAnew(components, limits),
};

/** Plans as rpm-ostree does without a previous manifest. */
export const rpmOstreeFresh: LayoutStrategy = {
  name: 'rpm-ostree-fresh',
  description: 'rpm-ostree without a previous manifest: planned anew in every build',
  plan: planAnew,
};

/** Undefined if there are no previous layers, or too many. */
function keepPreviousLayers(
  components: readonly Component[],
  { maxLayers, prior = [] }: LayoutLimits,
): Layout | undefined {
  const reserved = prior.at(-1);
  const kept = prior.slice(0, -1).filter((layer) => layer.components.length > 0);
  if (reserved === undefined || kept.length + 1 > maxLayers) {
    return undefined;
  }

  const known = new Set(prior.flatMap((layer) => layer.components));
  const added = components.map(({ id }) => id).filter((id) => !known.has(id));
  return {
    layers: [
      ...kept.map((layer) => ({ components: layer.components })),
      { components: [...reserved.components, ...added] },
    ],
  };
}

function planAnew(components: readonly Component[], { maxLayers }: LayoutLimits): Layout {
  const bySize = components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
  return {
    layers: binsOf(bySize, maxLayers).map((bin) => ({ components: bin.map(({ id }) => id) })),
  };
}

/** The last bin is empty: it is reserved for packages to come. */
function binsOf(bySize: Bin, count: number): Bin[] {
  if (count < MIN_LAYERS) {
    return [bySize];
  }
  const reserved: Bin = [];
  if (bySize.length < count) {
    return [...bySize.map((component) => [component]), reserved];
  }

  const volatile = bySize.filter(({ changesPerYear }) => changesPerYear === Infinity);
  const others = bySize.filter(({ changesPerYear }) => changesPerYear !== Infinity);
  const special = volatile.length > 0 ? [volatile, reserved] : [reserved];
  if (others.length === 0) {
    return special;
  }
  return [...binsBySizeAndRate(others, count - special.length), ...special];
}

function binsBySizeAndRate(bySize: Bin, count: number): Bin[] {
  const maxLarge = Math.floor(Math.fround(LARGE_SHARE * (count - 1)));
  const maxMedium = count - 1 - maxLarge;
  const { large, small, partitions } = partition(bySize, maxLarge);

  const bins: Bin[] = large.map((component) => [component]);
  if (small.length > 0) {
    bins.push(small);
  }
  const mediumCount = bySize.length - maxLarge - small.length;
  const binLength = Math.max(1, Math.floor(mediumCount / maxMedium));
  for (const members of partitions) {
    for (let i = 0; i < members.length; i += binLength) {
      bins.push(members.slice(i, i + binLength));
    }
  }

  mergeDownTo(bins, count, maxLarge + 1);
  return bins;
}

/**
 * Merges every second bin with the one before it, from the end. Those before `first`, the large
 * ones, are spared longest.
 */
function mergeDownTo(bins: Bin[], count: number, first: number): void {
  while (bins.length > count) {
    const last = bins.length - 2;
    if (last < first) {
      mergeWithPrevious(bins, bins.length - 1);
      continue;
    }
    const start = last - ((last - first) % 2);
    for (let i = start; i >= first && bins.length > count; i -= 2) {
      mergeWithPrevious(bins, i);
    }
  }
}

/** The union trades places with the bin after it, as it does in rpm-ostree. */
function mergeWithPrevious(bins: Bin[], i: number): void {
  const union = bins.splice(i - 1, 2).flat();
  bins.splice(i, 0, union);
}

interface Partitions {
  readonly large: Bin;
  readonly small: Bin;
  /** Medium components by frequency, the highest first, then by size: high, low, medium. */
  readonly partitions: readonly Bin[];
}

function partition(bySize: Bin, maxLarge: number): Partitions {
  const sizes = bySize.map(({ size }) => size);
  const sizeClass = classifier(median(sizes), medianDeviation(sizes));

  const large = bySize.filter(({ size }) => sizeClass(size) === 'high');
  const small = bySize.filter(({ size }) => sizeClass(size) === 'low');
  const medium = bySize.filter(({ size }) => sizeClass(size) === 'medium');
  return {
    large: large.slice(0, maxLarge),
    small,
    partitions: mediumPartitions([...large.slice(maxLarge), ...medium]),
  };
}

function mediumPartitions(components: Bin): Bin[] {
  const byRate = components.toSorted((a, b) => a.changesPerYear - b.changesPerYear);
  const sizes = byRate.map(({ size }) => size);
  const rates = byRate.map(({ changesPerYear }) => changesPerYear);
  const sizeClass = classifier(mean(sizes), deviation(sizes));
  const rateClass = classifier(mean(rates), deviation(rates));

  const partitions: Bin[] = [];
  for (const rate of ['high', 'medium', 'low']) {
    for (const size of ['high', 'low', 'medium']) {
      partitions.push(
        byRate.filter(
          (component) =>
            rateClass(component.changesPerYear) === rate && sizeClass(component.size) === size,
        ),
      );
    }
  }
  return partitions.filter(({ length }) => length > 0);
}

type Class = 'high' | 'medium' | 'low';

/**
 * Returns a function that finds outliers in both directions. The lower bound is halved, as in
 * rpm-ostree.
 */
function classifier(middle: number, spread: number): (value: number) => Class {
  const high = middle + OUTLIER_DEVIATIONS * spread;
  const low = 0.5 * Math.abs(middle - OUTLIER_DEVIATIONS * spread);
  return (value) => {
    if (value >= high) {
      return 'high';
    }
    return value <= low ? 'low' : 'medium';
  };
}
