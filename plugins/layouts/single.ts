/** Layout strategy `single`: everything in one layer. No layout costs more. */
import type { LayoutStrategy } from '../../src/plugin.js';

export const single: LayoutStrategy = {
  name: 'single',
  description: 'everything in one layer',
  plan: (components) => ({ layers: [{ components: components.map(({ id }) => id) }] }),
};
