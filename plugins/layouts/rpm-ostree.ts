/**
 * The algorithm of ostree-rs-ext and rpm-ostree: the previous manifest's layers are kept and new packages go into the
 * last, reserved one; without a previous build, large packages alone, small ones in one layer, the others in
 * partitions of size and change frequency.
 */
import { compareUtf8 } from '../../src/bytes/text.js';
import type {
  Component,
  Layout,
  LayoutLimits,
  LayoutStrategy,
  PriorLayer,
} from '../../src/plugin.js';
import { deviation, mean, median, medianDeviation } from './statistics.js';

/** With fewer layers rpm-ostree refuses to split. */
const MIN_LAYERS = 4;
/** Share of the layers for large packages, computed in single precision. */
const LARGE_SHARE = Math.fround(0.6);
/** Outliers lie this many deviations from the middle. */
const THRESHOLD = 2;

type Bin = readonly Component[];

export const rpmOstree: LayoutStrategy = {
  name: 'rpm-ostree',
  description:
    'the previous layers, new packages in a reserved one; at first by size and frequency (rpm-ostree)',
  plan: (components, limits) => keep(components, limits) ?? fresh(components, limits),
};

/** The same where no previous manifest is given. */
export const rpmOstreeFresh: LayoutStrategy = {
  name: 'rpm-ostree-fresh',
  description: 'rpm-ostree without a previous manifest: planned anew in every build',
  plan: fresh,
};

/** The previous layers, what is new in the last of them; undefined where there are none or too many. */
function keep(
  components: readonly Component[],
  { maxLayers, prior = [] }: LayoutLimits,
): Layout | undefined {
  const layers = prior.filter((layer, i) => layer.components.length > 0 || i === prior.length - 1);
  if (layers.length === 0 || layers.length > maxLayers) {
    return undefined;
  }
  const known = new Set(prior.flatMap((layer) => layer.components));
  const added = components.map(({ id }) => id).filter((id) => !known.has(id));
  const reserved = layers.at(-1) as PriorLayer;
  return {
    layers: [...layers.slice(0, -1), { components: [...reserved.components, ...added] }].map(
      onlyComponents,
    ),
  };
}

const onlyComponents = ({ components }: { readonly components: readonly string[] }) => ({
  components,
});

function fresh(components: readonly Component[], { maxLayers }: LayoutLimits): Layout {
  const bySize = components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
  return {
    layers: pack(bySize, maxLayers).map((bin) => ({ components: bin.map(({ id }) => id) })),
  };
}

/** The last bin is empty: reserved for packages to come. */
function pack(bySize: Bin, bins: number): Bin[] {
  if (bins < MIN_LAYERS) {
    return [bySize];
  }
  if (bySize.length < bins) {
    return [...bySize.map((component) => [component]), []];
  }
  const volatile = bySize.filter(({ changesPerYear }) => changesPerYear === Infinity);
  const others = bySize.filter(({ changesPerYear }) => changesPerYear !== Infinity);
  const reserved = volatile.length > 0 ? 2 : 1;
  const packed = others.length > 0 ? packOthers(others, bins, reserved) : [];
  return [...packed, ...(volatile.length > 0 ? [volatile] : []), []];
}

/** Into at most `bins - reserved` bins. */
function packOthers(bySize: Bin, bins: number, reserved: number): Bin[] {
  const maxLarge = Math.floor(Math.fround(LARGE_SHARE * (bins - reserved - 1)));
  const maxMedium = bins - maxLarge - reserved - 1;
  const { large, small, partitions } = partition(bySize, maxLarge);
  const each = Math.max(1, Math.floor((bySize.length - maxLarge - small.length) / maxMedium));
  const packed: Bin[] = large.map((component) => [component]);
  if (small.length > 0) {
    packed.push(small);
  }
  for (const members of partitions) {
    for (let i = 0; i < members.length; i += each) {
      packed.push(members.slice(i, i + each));
    }
  }
  fold(packed, bins - reserved, maxLarge + 1);
  return packed;
}

/** Merges every second bin with the one before it, from the end, until there are `count`; large ones, before `first`, last of all. */
function fold(packed: Bin[], count: number, first: number): void {
  while (packed.length > count) {
    const last = packed.length - 2;
    if (last < first) {
      merge(packed, packed.length - 1);
    } else {
      for (let at = last - ((last - first) % 2); at >= first && packed.length > count; at -= 2) {
        merge(packed, at);
      }
    }
  }
}

/** The union trades places with the bin after it, as it does in rpm-ostree. */
function merge(packed: Bin[], at: number): void {
  const union = packed.splice(at - 1, 2).flat();
  packed.splice(at, 0, union);
}

interface Partitions {
  readonly large: Bin;
  readonly small: Bin;
  /** By frequency, the highest first, then by size: high, low, medium. */
  readonly partitions: readonly Bin[];
}

function partition(bySize: Bin, maxLarge: number): Partitions {
  const sizes = bySize.map(({ size }) => size);
  const [middle, spread] = [median(sizes), medianDeviation(sizes)];
  const high = middle + THRESHOLD * spread;
  const low = 0.5 * Math.abs(middle - THRESHOLD * spread);
  const large = bySize.filter(({ size }) => size >= high);
  const small = bySize.filter(({ size }) => size < high && size <= low);
  const medium = [
    ...large.slice(maxLarge),
    ...bySize.filter(({ size }) => size < high && size > low),
  ];
  medium.sort((a, b) => a.changesPerYear - b.changesPerYear);
  const sizeClass = classifier(medium.map(({ size }) => size));
  const rateClass = classifier(medium.map(({ changesPerYear }) => changesPerYear));
  const partitions = (['high', 'medium', 'low'] as const).flatMap((rate) =>
    (['high', 'low', 'medium'] as const).map((size) =>
      medium.filter(
        (each) => rateClass(each.changesPerYear) === rate && sizeClass(each.size) === size,
      ),
    ),
  );
  return {
    large: large.slice(0, maxLarge),
    small,
    partitions: partitions.filter(({ length }) => length > 0),
  };
}

function classifier(values: readonly number[]): (value: number) => 'high' | 'medium' | 'low' {
  const [middle, spread] = [mean(values), deviation(values)];
  const high = middle + THRESHOLD * spread;
  const low = 0.5 * Math.abs(middle - THRESHOLD * spread);
  return (value) => (value >= high ? 'high' : value <= low ? 'low' : 'medium');
}
