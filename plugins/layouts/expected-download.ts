import { compareUtf8 } from '../../src/bytes/text.js';
import type { Component, Layout, LayoutLimits, LayoutStrategy } from '../../src/plugin.js';
import { agglomerate } from './partition.js';
import { changeProbabilities } from './probability.js';

/** Minimises the bytes that clients are expected to fetch with the next update; keeps to the previous layout. */
export const expectedDownload: LayoutStrategy = {
  name: 'expected-download',
  description: 'least expected bytes per update, from changelogs and recorded history; keeps to the previous layout',
  plan,
};

function plan(
  components: readonly Component[],
  { maxLayers, maxLayerSize, prior = [], history }: LayoutLimits,
): Layout {
  const chance = changeProbabilities(components, history);
  const clean = prior.filter((layer) => !layer.dirty && layer.components.length > 0);
  const kept = clean.length < maxLayers ? clean : [];
  const settled = new Set(kept.flatMap((layer) => layer.components));
  const units = bySource(components.filter(({ id }) => !settled.has(id)));
  const items = units.map((members) => ({
    size: members.reduce((sum, { size }) => sum + size, 0),
    stays: 1 - (chance.get(members[0]?.source ?? '') ?? 0),
  }));
  const groups: string[][] = [];
  for (const [i, group] of agglomerate(items, maxLayers - kept.length, maxLayerSize).entries()) {
    const ids = groups[group] ?? [];
    groups[group] = ids;
    ids.push(...(units[i] ?? []).map(({ id }) => id));
  }
  return { layers: [...kept.map((layer) => layer.components), ...groups].map((ids) => ({ components: ids })) };
}

/** Components by source package, in byte order. */
function bySource(components: readonly Component[]): Component[][] {
  const units = new Map<string, Component[]>();
  for (const component of components.toSorted((a, b) => compareUtf8(a.id, b.id))) {
    const unit = units.get(component.source) ?? [];
    units.set(component.source, unit);
    unit.push(component);
  }
  return [...units.values()];
}
