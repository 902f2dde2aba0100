/** What each layer of the last build cost over time. */
import type { SimulatedLayer, SimulationRun } from '../../../layout/simulate.js';

type Chain = SimulationRun['chain'];

/** A layer of the last build, and the layers of earlier builds that most of it was in. */
export interface LayerCost {
  /** Ids of the components in it; empty for layers that the last build no longer has. */
  readonly components: readonly string[];
  /** Bytes of content, in the last build. */
  readonly size: number;
  /** Bytes that each update fetched of it. */
  readonly fetched: readonly number[];
  /** Bytes of all updates. */
  readonly bytes: number;
}

/** Returns the layers that were fetched at least once, those that cost most first. */
export function layerCosts({ chain, result: { lag } }: SimulationRun): readonly LayerCost[] {
  const last = chain.at(-1)?.layers ?? [];
  const placeOf = new Map<string, number>();
  for (const [i, { components }] of last.entries()) {
    for (const id of components) {
      placeOf.set(id, i);
    }
  }
  const updates = Math.max(0, chain.length - lag);
  // The last row is for layers of which the last build has nothing.
  const fetched = Array.from({ length: last.length + 1 }, () => new Array<number>(updates).fill(0));
  for (let update = 0; update < updates; update++) {
    for (const layer of fetchedLayers(chain, update, lag)) {
      const row = fetched[mostFrequentPlace(layer, placeOf) ?? last.length];
      if (row !== undefined) {
        row[update] = (row[update] ?? 0) + layer.size;
      }
    }
  }
  const costs = fetched.map((row, i): LayerCost => {
    const { components = [], size = 0 } = last[i] ?? {};
    return {
      components,
      size,
      fetched: row,
      bytes: sum(row),
    };
  });
  return costs.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
}

function fetchedLayers(chain: Chain, update: number, lag: number): readonly SimulatedLayer[] {
  const present = new Set(chain[update]?.layers.map(({ key }) => key));
  const next = chain[update + lag]?.layers ?? [];
  return next.filter(({ key }) => !present.has(key));
}

/** Returns where most components of a layer are in the last build. */
function mostFrequentPlace(
  { components }: SimulatedLayer,
  placeOf: ReadonlyMap<string, number>,
): number | undefined {
  const counts = new Map<number, number>();
  let most: number | undefined;
  for (const id of components) {
    const place = placeOf.get(id);
    if (place === undefined) {
      continue;
    }
    const count = (counts.get(place) ?? 0) + 1;
    counts.set(place, count);
    if (most === undefined || count > (counts.get(most) ?? 0)) {
      most = place;
    }
  }
  return most;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
