import { compareUtf8 } from '../../src/bytes/text.js';
import type { Component, Layout, LayoutLimits, LayoutStrategy } from '../../src/plugin.js';
import { type Item, partition } from './partition.js';
import { changeProbabilities } from './probability.js';
import { stableLayers } from './stable.js';

/**
 * Updates over which the one-time cost of moving a clean layer is spread. After about as many updates the estimates have
 * changed, or a change has dirtied the layer anyway; on recorded histories 3 to 20 make no difference.
 */
const HORIZON = 10;

/**
 * Minimises the bytes that clients are expected to fetch with the next update. What they fetch with this one anyway, the
 * dirty layers of the previous image, is planned anew; clean layers are kept while moving them does not pay. Without
 * a previous image the layout is one that stays as it is from build to build by itself.
 */
export const expectedDownload: LayoutStrategy = {
  name: 'expected-download',
  description:
    'least expected bytes per update, from changelogs and recorded history; keeps to the previous layout',
  plan,
};

/** What is placed as one. */
interface Unit extends Item {
  readonly ids: readonly string[];
}

function plan(components: readonly Component[], limits: LayoutLimits): Layout {
  const { maxLayers, maxLayerSize = Infinity, prior, history } = limits;
  const chance = changeProbabilities(components, history);
  const byId = new Map(components.map((component) => [component.id, component]));
  const unitOf = (ids: readonly string[], clean: boolean): Unit => {
    const members = ids.map((id) => byId.get(id) as Component);
    const size = members.reduce((sum, member) => sum + member.size, 0);
    const sources = new Set(members.map(({ source }) => source));
    const stays = [...sources].reduce(
      (product, source) => product * (1 - (chance.get(source) ?? 0)),
      1,
    );
    return { ids, size, stays, moving: clean ? size / HORIZON : 0 };
  };
  const clean = (prior ?? []).filter((layer) => !layer.dirty && layer.components.length > 0);
  const settled = new Set(clean.flatMap((layer) => layer.components));
  const units = [
    ...clean.map((layer) => unitOf(layer.components, true)),
    ...bySource(components.filter(({ id }) => !settled.has(id))).map((ids) => unitOf(ids, false)),
  ];
  if (prior === undefined) {
    const named = units.map((unit) => ({
      ...unit,
      name: byId.get(unit.ids[0] as string)?.source ?? '',
    }));
    const layers = stableLayers(named, maxLayers);
    const sizes = layers.map((ids) => unitOf(ids, false).size);
    if (Math.max(...sizes) <= maxLayerSize) {
      return { layers: layers.map((ids) => ({ components: ids })) };
    }
  }
  const groups = partition(units, maxLayers, maxLayerSize);
  return {
    layers: groups.map((group) => ({ components: group.flatMap((i) => (units[i] as Unit).ids) })),
  };
}

/** Ids by source package, in byte order. */
function bySource(components: readonly Component[]): string[][] {
  const units = new Map<string, string[]>();
  for (const { id, source } of components.toSorted((a, b) => compareUtf8(a.id, b.id))) {
    const unit = units.get(source) ?? [];
    units.set(source, unit);
    unit.push(id);
  }
  return [...units.values()];
}
