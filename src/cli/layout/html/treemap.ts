/** The layers of the last build by size, darker the more often their components changed. */
import type { SimulatedLayer, SimulationRun } from '../../../layout/simulate.js';
import type { Element } from '../../html/element.js';
import {
  colorLegend,
  type TreemapGroup,
  type TreemapItem,
  treemapDrawing,
} from '../../html/treemap.js';
import { formatBytes, formatPercent } from '../../output/format.js';

type Chain = SimulationRun['chain'];
type Build = Chain[number];

/** Shades of the style, from what seldom changes to what always does. */
const SHADES = 5;

/** Returns the drawing and what its colors mean. */
export function lastBuildDrawing({ chain }: SimulationRun): readonly Element[] {
  const last = chain.at(-1);
  if (last === undefined) {
    return [];
  }
  const shares = changeShares(chain);
  const sizes = new Map(last.components.map(({ id, size }) => [id, size]));
  const groups = last.layers.map((layer, i) => groupOf(layer, i, sizes, shares));
  const legend = Array.from({ length: SHADES }, (_, i) => shadeMeaning(i));
  const total = formatBytes(last.layers.reduce((sum, { size }) => sum + size, 0));
  const label = `The ${last.layers.length} layers of the last build by size, ${total} in all`;
  return [colorLegend(legend), treemapDrawing(label, groups)];
}

function shadeMeaning(i: number): readonly [tone: string, text: string] {
  const step = 100 / SHADES;
  const shares = `${i * step} to ${(i + 1) * step} %`;
  return [`shade-${i + 1}`, i === 0 ? `changed in ${shares} of the updates` : shares];
}

function groupOf(
  layer: SimulatedLayer,
  index: number,
  sizes: ReadonlyMap<string, number>,
  shares: ReadonlyMap<string, number>,
): TreemapGroup {
  const { components, size } = layer;
  const name = `layer ${index + 1}, ${formatBytes(size)}`;
  const known = components.flatMap((id) => sizes.get(id) ?? []);
  // Parts of components have no known sizes: they share what is left.
  const left = size - known.reduce((sum, each) => sum + each, 0);
  const rest = Math.max(0, left) / Math.max(1, components.length - known.length);
  const items = components.map((id): TreemapItem => {
    const bytes = sizes.get(id) ?? rest;
    const share = shares.get(id) ?? 0;
    const text = formatBytes(Math.round(bytes));
    return {
      name: id,
      detail: text,
      size: bytes,
      title: `${id}, ${text}; changed in ${formatPercent(share, 1)} of the updates; in ${name}`,
      tone: `shade-${Math.min(SHADES, Math.floor(share * SHADES) + 1)}`,
    };
  });
  return {
    name,
    size,
    items,
  };
}

/** Returns in which share of the updates each component changed. */
function changeShares(chain: Chain): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [i, build] of chain.entries()) {
    const previous = chain[i - 1];
    for (const id of previous === undefined ? [] : changedIds(previous, build)) {
      const count = counts.get(id) ?? 0;
      counts.set(id, count + 1);
    }
  }
  const updates = Math.max(1, chain.length - 1);
  return new Map(Array.from(counts, ([id, count]) => [id, count / updates]));
}

/** Parts of components have no versions here: they count as changed if their layer did. */
function changedIds(previous: Build, build: Build): readonly string[] {
  const before = new Map(previous.components.map(({ id, version }) => [id, version]));
  const changed = build.components.filter(({ id, version }) => {
    const known = before.get(id);
    return known !== undefined && known !== version;
  });

  const wholes = new Set(build.components.map(({ id }) => id));
  const present = new Set(previous.layers.map(({ key }) => key));
  const fetched = build.layers.filter(({ key }) => !present.has(key));
  const parts = fetched.flatMap(({ components }) => components.filter((id) => !wholes.has(id)));
  return [...changed.map(({ id }) => id), ...parts];
}
