import { compareUtf8 } from '../../src/bytes/text.js';
import type { LayoutStrategy } from '../../src/plugin.js';

/** What no layout can do better than, where there are layers enough. */
export const onePerComponent: LayoutStrategy = {
  name: 'one-per-component',
  description:
    'one layer for each component, the largest first; those beyond the limit share the last layer',
  plan: (components, { maxLayers }) => {
    const ids = components
      .toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id))
      .map(({ id }) => id);
    const alone = ids.length <= maxLayers ? ids.length : maxLayers - 1;
    const rest = ids.slice(alone);
    return {
      layers: [...ids.slice(0, alone).map((id) => [id]), ...(rest.length > 0 ? [rest] : [])].map(
        layer,
      ),
    };
  },
};

const layer = (components: readonly string[]) => ({ components });
