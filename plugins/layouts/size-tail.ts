/**
 * The first algorithm of ostree-rs-ext (pull request 123, 2022): the largest components alone, the tail by source
 * package, and what is still too much in one layer. Planned anew in every build.
 */
import { compareUtf8 } from '../../src/bytes/text.js';
import type { Component, LayoutStrategy } from '../../src/plugin.js';

export const sizeTail: LayoutStrategy = {
  name: 'size-tail',
  description:
    'the largest components alone, the rest by source package, the last in one (ostree-rs-ext, 2022)',
  plan: (components, { maxLayers }) => ({
    layers: pack(components, maxLayers).map((layer) => ({ components: layer.map(({ id }) => id) })),
  }),
};

function pack(components: readonly Component[], bins: number): Component[][] {
  const sorted = components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
  if (sorted.length <= bins) {
    return sorted.map((component) => [component]);
  }
  const bySource = new Map<string, Component[]>();
  for (const component of sorted.slice(bins)) {
    bySource.set(component.source, [...(bySource.get(component.source) ?? []), component]);
  }
  const packed = [...sorted.slice(0, bins).map((component) => [component]), ...bySource.values()];
  packed.sort((a, b) => sizeOf(b) - sizeOf(a));
  return packed.length <= bins
    ? packed
    : [...packed.slice(0, bins - 1), packed.slice(bins - 1).flat()];
}

const sizeOf = (bin: readonly Component[]): number => bin.reduce((sum, { size }) => sum + size, 0);
