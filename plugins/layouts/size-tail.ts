/**
 * Layout strategy `size-tail`, the first algorithm of ostree-rs-ext (pull request 123, 2022): the
 * largest components get layers of their own, the others are grouped by source package, and the
 * smallest groups share the last layer. Every build is planned anew.
 */
import { type Component, compareUtf8, type LayoutStrategy } from '../../src/plugin.js';

export const sizeTail: LayoutStrategy = {
  name: 'size-tail',
  description:
    'the largest components alone, the rest by source package, ' +
    'the last in one (ostree-rs-ext, 2022)',
  plan: (components, { maxLayers }) => ({
    layers: groupsOf(components, maxLayers).map((group) => ({
      components: group.map(({ id }) => id),
    })),
  }),
};

function groupsOf(components: readonly Component[], maxLayers: number): Component[][] {
  const bySize = components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
  const singles = bySize.slice(0, maxLayers).map((component) => [component]);
  if (bySize.length <= maxLayers) {
    return singles;
  }

  const groups = [...singles, ...groupBySource(bySize.slice(maxLayers))];
  groups.sort((a, b) => sizeOf(b) - sizeOf(a));
  if (groups.length <= maxLayers) {
    return groups;
  }
  return [...groups.slice(0, maxLayers - 1), groups.slice(maxLayers - 1).flat()];
}

function groupBySource(components: readonly Component[]): Component[][] {
  const groups = new Map<string, Component[]>();
  for (const component of components) {
    const group = groups.get(component.source) ?? [];
    groups.set(component.source, group);
    group.push(component);
  }
  return [...groups.values()];
}

function sizeOf(group: readonly Component[]): number {
  return group.reduce((sum, { size }) => sum + size, 0);
}
