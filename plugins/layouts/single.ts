import type { LayoutStrategy } from '../../src/plugin.js';

/** Everything in one layer: the bound from above. */
export const single: LayoutStrategy = {
  name: 'single',
  description: 'everything in one layer',
  plan: (components) => ({ layers: [{ components: components.map(({ id }) => id) }] }),
};
