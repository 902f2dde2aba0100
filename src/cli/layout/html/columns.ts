/** What each layer costs over time: a column for each update, with a block per layer fetched. */
import type { SimulatedLayer, SimulatedUpdate, SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { componentNames, HEIGHT, round, Scale, svg } from './chart.js';
import { type Element, element } from './element.js';

export function columnsDrawing(run: SimulationRun): Element {
  const { updates } = run;
  const scale = new Scale(updates.length, Math.max(1, ...updates.map(({ bytes }) => bytes)));
  const columns = updates.flatMap((update, i) => column(update, i, fetchedLayers(run, i), scale));
  return svg(HEIGHT, 'layers fetched in each update', [
    ...scale.verticalAxis(),
    ...scale.horizontalAxis(run),
    ...columns,
  ]);
}

/** Returns the layers that update `i` fetches, the largest first. */
function fetchedLayers({ chain, result: { lag } }: SimulationRun, i: number): SimulatedLayer[] {
  const present = new Set((chain[i]?.layers ?? []).map(({ key }) => key));
  return (chain[i + lag]?.layers ?? [])
    .filter(({ key, size }) => size > 0 && !present.has(key))
    .toSorted((a, b) => b.size - a.size);
}

function column(
  update: SimulatedUpdate,
  i: number,
  layers: readonly SimulatedLayer[],
  scale: Scale,
): Element[] {
  const width = round(Math.max(0.5, scale.x(i + 1) - scale.x(i) - 1));
  let stacked = 0;
  return layers.map((layer) => {
    const top = scale.y(stacked + layer.size);
    const height = scale.y(stacked) - top;
    stacked += layer.size;

    const box = { x: scale.x(i), y: round(top), width, height: round(height) };
    const style = { fill: '#56b4e9', stroke: '#fff', 'stroke-width': '.5' };
    const names = componentNames(layer.components);
    const title = `${update.to}: ${formatBytes(layer.size)}, ${names}`;
    return element('rect', { ...box, ...style }, [element('title', {}, [title])]);
  });
}
