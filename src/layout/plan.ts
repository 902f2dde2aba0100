import { compareUtf8 } from '../bytes/text.js';
import type { LayoutComponent } from '../components/component.js';
import { OstrataError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { ChangeHistory, Component, LayoutLimits, LayoutStrategy } from '../plugin.js';
import {
  historySince,
  type LayoutRecord,
  previousLayers,
  type RecordedLayer,
} from './previous-layout.js';

export interface PlanLayoutOptions {
  /** Layers for components, exclusive ones included, the commit layer not; at least 1. */
  readonly maxLayers: number;
  /** Bytes of content; see {@link LayoutLimits}. */
  readonly maxLayerSize?: number | undefined;
  readonly previous?: LayoutRecord | undefined;
  readonly log?: Logger | undefined;
}

/** A proven layout: every component is in exactly one layer, and there are at most `maxLayers` of them. */
export interface LayoutPlan {
  readonly layers: readonly RecordedLayer[];
  /** Change counts to be recorded in the image. */
  readonly history: ChangeHistory;
}

/**
 * Assigns every component to a layer: exclusive components are set aside, `strategy` places the others.
 * Throws `USAGE` for a `maxLayers` below 1 and `PLUGIN` where the strategy broke its contract.
 */
export function planLayout(
  components: readonly LayoutComponent[],
  strategy: LayoutStrategy,
  { maxLayers, maxLayerSize, previous: prior, log = silentLogger }: PlanLayoutOptions,
): LayoutPlan {
  if (!Number.isInteger(maxLayers) || maxLayers < 1) {
    throw new OstrataError(
      'USAGE',
      `a layout needs at least 1 layer for components, not ${maxLayers}`,
    );
  }
  const sorted = components.toSorted((a, b) => compareUtf8(a.id, b.id));
  const exclusive = exclusiveLayers(sorted, maxLayers, log);
  const alone = new Set(exclusive.flatMap((layer) => layer.components));
  const shared = sorted.filter(({ id }) => !alone.has(id));
  const history = prior ? historySince(prior, sorted) : new Map();
  const limits: LayoutLimits = {
    maxLayers: maxLayers - exclusive.length,
    history,
    ...(maxLayerSize !== undefined && { maxLayerSize }),
    ...(prior && { prior: previousLayers(prior, shared) }),
  };
  const placed = shared.length > 0 ? placeShared(shared, strategy, limits) : [];
  return { layers: [...placed, ...exclusive], history };
}

function placeShared(
  shared: readonly Component[],
  strategy: LayoutStrategy,
  limits: LayoutLimits,
): RecordedLayer[] {
  const { layers } = strategy.plan(shared, limits);
  proveLayout(
    strategy.name,
    layers,
    shared.map(({ id }) => id),
    limits.maxLayers,
  );
  return layers.map((layer) => ({ components: layer.components.toSorted(compareUtf8) }));
}

/** One layer for each exclusive component; where there are too few layers, the smallest share the last of them. */
function exclusiveLayers(
  components: readonly LayoutComponent[],
  maxLayers: number,
  log: Logger,
): RecordedLayer[] {
  const exclusive = components.filter((component) => component.exclusive);
  const available = maxLayers - (exclusive.length < components.length ? 1 : 0);
  if (exclusive.length <= available) {
    return exclusive.map(({ id }) => ({ components: [id], exclusive: true }));
  }
  log.warn(
    `${exclusive.length} components ask for layers of their own, ${available} layers are left for them: ` +
      (available > 0 ? 'the smallest share one' : 'they are placed with all others'),
  );
  if (available === 0) {
    return [];
  }
  const bySize = exclusive
    .toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id))
    .map(({ id }) => id);
  return [
    ...bySize
      .slice(0, available - 1)
      .sort(compareUtf8)
      .map((id) => ({ components: [id], exclusive: true })),
    { components: bySize.slice(available - 1).sort(compareUtf8), exclusive: true },
  ];
}

/** Throws `PLUGIN`, naming who broke what, unless every id of `ids` is in exactly one of at most `maxLayers` layers. */
export function proveLayout(
  who: string,
  layers: readonly RecordedLayer[],
  ids: readonly string[],
  maxLayers: number,
): void {
  const broken = (rule: string) => new OstrataError('PLUGIN', `layout strategy ${who}: ${rule}`);
  if (layers.length > maxLayers) {
    throw broken(`${layers.length} layers, at most ${maxLayers} are allowed`);
  }
  const layerOf = new Map<string, number>();
  const known = new Set(ids);
  for (const [number, { components }] of layers.entries()) {
    for (const id of components) {
      const other = layerOf.get(id);
      if (!known.has(id)) {
        throw broken(`layer ${number} holds component ${id}, which there is not`);
      }
      if (other !== undefined) {
        throw broken(`component ${id} is in layers ${other} and ${number}`);
      }
      layerOf.set(id, number);
    }
  }
  for (const id of known) {
    if (!layerOf.has(id)) {
      throw broken(`component ${id} is in no layer`);
    }
  }
}
