/** Layout strategy `one-per-component`: with enough layers, no layout costs less. */
import { compareUtf8, type LayoutStrategy } from '../../src/plugin.js';

export const onePerComponent: LayoutStrategy = {
  name: 'one-per-component',
  description:
    'one layer for each component, the largest first; those beyond the limit share the last layer',
  plan(components, { maxLayers }) {
    const bySize = components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id));
    const ids = bySize.map(({ id }) => id);

    const singleCount = ids.length <= maxLayers ? ids.length : maxLayers - 1;
    const layers = ids.slice(0, singleCount).map((id) => ({ components: [id] }));
    const rest = ids.slice(singleCount);
    if (rest.length > 0) {
      layers.push({ components: rest });
    }
    return { layers };
  },
};
