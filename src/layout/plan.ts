/** Plans the layout of an image: asks a strategy, and proves that it kept its contract. */
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
import { type Splittable, splitComponents } from './split.js';

interface PlanLayoutOptions {
  /** Number of layers for components, without the commit layer; at least 1. */
  readonly maxLayers: number;
  /** Bytes of content; see {@link LayoutLimits}. */
  readonly maxLayerSize?: number | undefined;
  readonly previous?: LayoutRecord | undefined;
  readonly log?: Logger | undefined;
}

/**
 * A layout that has been checked: every component is in exactly one layer, and there are at most as
 * many layers as allowed.
 */
export interface LayoutPlan<C extends Component = Component> {
  readonly layers: readonly RecordedLayer[];
  /** What the layers hold: the given components, some of them split into parts. */
  readonly components: readonly C[];
  /** The components that were split. */
  readonly wholes: readonly C[];
  /** Change counts for the image to record. */
  readonly history: ChangeHistory;
}

/**
 * Splits components into parts as far as `strategy` places these, and assigns each to a layer:
 * exclusive components get layers to themselves, at the end; `strategy` places the others. Throws
 * `USAGE` if `maxLayers` is below 1 and `PLUGIN` if the strategy broke its contract.
 */
export function planLayout<C extends Splittable<C>>(
  given: readonly C[],
  strategy: LayoutStrategy,
  { maxLayers, maxLayerSize, previous, log = silentLogger }: PlanLayoutOptions,
): LayoutPlan<C> {
  if (!Number.isInteger(maxLayers) || maxLayers < 1) {
    throw new OstrataError(
      'USAGE',
      `a layout needs at least 1 layer for components, not ${maxLayers}`,
    );
  }

  const { components, wholes } = splitComponents(given, strategy.parts, { maxLayers, previous });
  const sorted = components.toSorted((a, b) => compareUtf8(a.id, b.id));
  const exclusiveLayers = planExclusiveLayers(sorted, maxLayers, log);
  const exclusiveIds = new Set(exclusiveLayers.flatMap((layer) => layer.components));
  const others = sorted.filter(({ id }) => !exclusiveIds.has(id));

  const history = previous ? historySince(previous, [...sorted, ...wholes]) : new Map();
  const otherLayers = placeOthers(others, strategy, {
    maxLayers: maxLayers - exclusiveLayers.length,
    maxLayerSize,
    history,
    prior: previous && previousLayers(previous, others),
  });
  return { layers: [...otherLayers, ...exclusiveLayers], components, wholes, history };
}

function placeOthers(
  others: readonly Component[],
  strategy: LayoutStrategy,
  limits: LayoutLimits,
): RecordedLayer[] {
  if (others.length === 0) {
    return [];
  }
  const { layers } = strategy.plan(others, limits);
  const ids = others.map(({ id }) => id);
  proveLayout(strategy.name, layers, ids, limits.maxLayers);
  return layers.map((layer) => ({ components: layer.components.toSorted(compareUtf8) }));
}

/**
 * Returns one layer for each exclusive component. If there are too few layers, the smallest
 * components share the last one.
 */
function planExclusiveLayers(
  components: readonly LayoutComponent[],
  maxLayers: number,
  log: Logger,
): RecordedLayer[] {
  const exclusive = components.filter((component) => component.exclusive);
  const layersForOthers = exclusive.length < components.length ? 1 : 0;
  const available = maxLayers - layersForOthers;
  if (exclusive.length <= available) {
    return exclusive.map(({ id }) => exclusiveLayer([id]));
  }

  log.warn(
    `${exclusive.length} components ask for a layer to themselves, ${available} layers are left ` +
      `for them: ${available > 0 ? 'the smallest share one' : 'they are placed with all others'}`,
  );
  if (available === 0) {
    return [];
  }
  const bySize = exclusive.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
  const idsBySize = bySize.map(({ id }) => id);
  const single = idsBySize.slice(0, available - 1).sort(compareUtf8);
  return [
    ...single.map((id) => exclusiveLayer([id])),
    exclusiveLayer(idsBySize.slice(available - 1).sort(compareUtf8)),
  ];
}

function exclusiveLayer(ids: readonly string[]): RecordedLayer {
  return { components: ids, exclusive: true };
}

/**
 * Throws `PLUGIN`, naming the strategy and the rule it broke, unless every id of `ids` is in
 * exactly one of at most `maxLayers` layers.
 */
export function proveLayout(
  strategyName: string,
  layers: readonly RecordedLayer[],
  ids: readonly string[],
  maxLayers: number,
): void {
  const broken = (rule: string) =>
    new OstrataError('PLUGIN', `layout strategy ${strategyName}: ${rule}`);
  if (layers.length > maxLayers) {
    throw broken(`${layers.length} layers, at most ${maxLayers} are allowed`);
  }

  const layerById = new Map<string, number>();
  const known = new Set(ids);
  for (const [number, { components }] of layers.entries()) {
    for (const id of components) {
      const other = layerById.get(id);
      if (!known.has(id)) {
        throw broken(`layer ${number} holds component ${id}, which does not exist`);
      }
      if (other !== undefined) {
        throw broken(`component ${id} is in layers ${other} and ${number}`);
      }
      layerById.set(id, number);
    }
  }

  const missing = ids.find((id) => !layerById.has(id));
  if (missing !== undefined) {
    throw broken(`component ${missing} is in no layer`);
  }
}
