/** What each update between images cost, beside what it would have cost with other layouts. */
import { type PublishedUpdate, publishedUpdates } from '../../layout/published.js';
import type { SimulationRun } from '../../layout/simulate.js';
import { formatBytes, formatTable, left, right } from '../output/format.js';
import type { Series } from './series.js';

/** An update between two images, and what the simulated layouts say of it. */
export interface UpdateCost extends PublishedUpdate {
  readonly lag: number;
  readonly planned: readonly PlannedCost[];
}

interface PlannedCost {
  readonly strategy: string;
  readonly maxLayers: number;
  /** Bytes of content, not compressed. */
  readonly bytes: number;
}

/** Returns the updates between the images of all series. */
export function updateCosts(
  series: readonly Series[],
  runs: readonly SimulationRun[],
): readonly UpdateCost[] {
  const lags = new Set(runs.map(({ result }) => result.lag));
  const costs: UpdateCost[] = [];
  for (const { name, builds } of series) {
    for (const lag of lags) {
      const own = runs.filter(({ result }) => result.series === name && result.lag === lag);
      for (const [i, update] of publishedUpdates(builds, lag).entries()) {
        const planned = own.map((run) => plannedCost(run, i));
        costs.push({ ...update, lag, planned });
      }
    }
  }
  return costs;
}

function plannedCost({ result, updates }: SimulationRun, index: number): PlannedCost {
  const { strategy, maxLayers } = result;
  const bytes = updates[index]?.bytes ?? 0;
  return { strategy, maxLayers, bytes };
}

/** Returns the table for people, which says what its bytes are. */
export function updateTable(costs: readonly UpdateCost[]): string {
  const planned = costs[0]?.planned ?? [];
  const titles = planned.map(({ strategy, maxLayers }) => `${strategy}/${maxLayers}`);
  const rows = costs.map((cost) => [
    cost.from,
    cost.to,
    String(cost.layers),
    formatBytes(cost.bytes),
    ...cost.planned.map(({ bytes }) => formatBytes(bytes)),
  ]);
  const columns = [
    left('FROM'),
    left('TO'),
    right('NEW LAYERS'),
    right('PUBLISHED'),
    ...titles.map(right),
  ];
  const note =
    'PUBLISHED: compressed bytes of the layers of the images. ' +
    'The layouts: bytes of content of whole packages, not compressed.';
  return `${formatTable(columns, rows)}\n${note}`;
}
