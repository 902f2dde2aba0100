/**
 * Layout strategy `expected-download`, the default: minimizes the bytes that clients are expected
 * to download with the next update, or with updates that skip builds (`cost.ts`).
 *
 * - Layers of the previous image that clients download again with this update anyway ("dirty" ones)
 *   are planned anew.
 * - Clean layers are kept, unless moving them pays off within {@link HORIZON} updates.
 * - Without a previous image everything is planned in the same way. With few layers, the layout is
 *   rather chosen so that it hardly changes from build to build (`stable.ts`).
 *
 * Strategy `stable` chooses it so with any number of layers, for builds that never pass a previous
 * image.
 */
import {
  type Component,
  compareUtf8,
  type Layout,
  type LayoutLimits,
  type LayoutStrategy,
} from '../../src/plugin.js';
import { Costs } from './cost.js';
import { type Item, partition } from './partition.js';
import { MANY_LAYERS, stabilities, unitKey } from './probability.js';
import { type Source, stableLayers } from './stable.js';
import { jointOf, type Stability } from './unchanged.js';

/**
 * Number of updates over which the one-time cost of moving a clean layer is spread. After about as
 * many updates the estimates have changed, or a change has dirtied the layer anyway. On recorded
 * histories 3 to 20 make no difference.
 */
const HORIZON = 10;

export const expectedDownload: LayoutStrategy = {
  name: 'expected-download',
  description:
    'least expected bytes per update, from changelogs and recorded history; ' +
    'keeps to the previous layout',
  parts: 'any',
  plan(components, limits) {
    return limits.maxLayers < MANY_LAYERS
      ? stable.plan(components, limits)
      : partitionedLayers(new Units(components, limits), limits);
  },
};

export const stable: LayoutStrategy = {
  name: 'stable',
  description:
    'as expected-download, but a first layout that hardly moves, if no build has a previous image',
  parts: 'any',
  plan(components, limits) {
    const units = new Units(components, limits);
    const layers = limits.prior === undefined ? stableFirstLayers(units, limits) : undefined;
    return layers ?? partitionedLayers(units, limits);
  },
};

/** Components that are placed together. */
interface Unit extends Item, Source {}

/** Groups components into units and knows what is expected of each. */
class Units {
  readonly all: readonly Unit[];
  readonly #byId: ReadonlyMap<string, Component>;
  /** By {@link unitKey}. */
  readonly #stabilities: ReadonlyMap<string, Stability>;

  constructor(given: readonly Component[], limits: LayoutLimits) {
    const { prior = [] } = limits;
    // Sums of rates depend on their order, and a difference in the last digit can decide a tie.
    const components = given.toSorted((a, b) => compareUtf8(a.id, b.id));
    this.#byId = new Map(components.map((component) => [component.id, component]));
    this.#stabilities = stabilities(components, limits);

    const cleanLayers = prior.filter((layer) => !layer.dirty && layer.components.length > 0);
    const kept = new Set(cleanLayers.flatMap((layer) => layer.components));
    const others = components.filter(({ id }) => !kept.has(id));
    const keptLayers = cleanLayers.map((layer) => this.#keptLayer(layer.components));
    const sources = idsByUnit(others).map((ids) => this.of(ids));
    const spare = limits.maxLayers - keptLayers.length - sources.length;
    this.all = [...keptLayers, ...this.#withPackagesApart(sources, spare)];
  }

  of(ids: readonly string[]): Unit {
    const members = ids.flatMap((id) => this.#byId.get(id) ?? []);
    const keys = new Set(members.map(unitKey));
    const found = [...keys].flatMap((key) => this.#stabilities.get(key) ?? []);
    const { unchangedProbability, wholes } = jointOf(found);
    return {
      name: members[0] === undefined ? '' : unitKey(members[0]),
      ids,
      size: members.reduce((sum, { size }) => sum + size, 0),
      unchangedProbability,
      wholes,
      relocationCost: 0,
    };
  }

  /**
   * Returns `sources` with their packages apart, as far as `spare` more layers go: first those
   * whose packages are expected to save most bytes for each layer.
   */
  #withPackagesApart(sources: readonly Unit[], spare: number): Unit[] {
    const divisible = sources.filter(({ ids }) => ids.length > 1);
    const bySaving = divisible.sort((a, b) => savingPerLayer(b) - savingPerLayer(a));
    const apart = new Set<Unit>();
    let left = spare;
    for (const source of bySaving) {
      const more = source.ids.length - 1;
      if (more <= left) {
        apart.add(source);
        left -= more;
      }
    }
    return sources.flatMap((source) =>
      apart.has(source) ? source.ids.map((id) => this.of([id])) : [source],
    );
  }

  #keptLayer(ids: readonly string[]): Unit {
    const unit = this.of(ids);
    return { ...unit, relocationCost: unit.size / HORIZON };
  }
}

/** The bytes that an update of some packages of a source may save for each layer it takes. */
function savingPerLayer({ size, unchangedProbability, ids }: Unit): number {
  return (size * (1 - unchangedProbability)) / (ids.length - 1);
}

/** The layout of a first build; undefined if one of its layers exceeds the allowed size. */
function stableFirstLayers(units: Units, limits: LayoutLimits): Layout | undefined {
  const { maxLayers, maxLayerSize } = limits;
  const layers = stableLayers(units.all, maxLayers, costsFor(limits));
  const largest = Math.max(...layers.map((ids) => units.of(ids).size));
  if (largest > (maxLayerSize ?? Infinity)) {
    return undefined;
  }
  return { layers: layers.map((ids) => ({ components: ids })) };
}

function partitionedLayers(units: Units, limits: LayoutLimits): Layout {
  const groups = partition(units.all, limits.maxLayers, costsFor(limits));
  return {
    layers: groups.map((group) => ({
      components: group.flatMap((i) => units.all[i]?.ids ?? []),
    })),
  };
}

function costsFor({ maxLayerSize: maxSize, clientCadence: cadences }: LayoutLimits): Costs {
  return new Costs({ maxSize, cadences });
}

/** The ids of each source package, and of each part, in the order of `components`. */
function idsByUnit(components: readonly Component[]): string[][] {
  const byUnit = new Map<string, string[]>();
  for (const component of components) {
    const key = unitKey(component);
    const ids = byUnit.get(key) ?? [];
    byUnit.set(key, ids);
    ids.push(component.id);
  }
  return [...byUnit.values()];
}
