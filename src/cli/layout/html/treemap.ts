/** The layers of the last build by size, darker the more often their components changed. */
import type { SimulatedLayer, SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { componentNames, fit, round, svg, WIDTH } from './chart.js';
import { type Element, element } from './element.js';
import { type Box, squarify } from './squarify.js';

const HEIGHT = 420;
/** From a layer that never changes to one that every update changes; readable in gray, too. */
const SHADES = [
  '#f7fbff',
  '#deebf7',
  '#c6dbef',
  '#9ecae1',
  '#6baed6',
  '#4292c6',
  '#2171b5',
  '#08519c',
  '#08306b',
];
/** From this shade on, dark text cannot be read. */
const DARK_SHADE = 5;
const SHADE_WIDTH = 24;
/** A smaller box gets no label. */
const MIN_LABEL_WIDTH = 60;
const LINE_HEIGHT = 16;

type Chain = SimulationRun['chain'];

export function treemapDrawing({ chain }: SimulationRun): Element {
  const last = chain.at(-1);
  if (last === undefined) {
    return svg(8, 'no builds', []);
  }
  const shares = changeShares(chain);
  const layers = last.layers.filter(({ size }) => size > 0).toSorted((a, b) => b.size - a.size);
  const sizes = layers.map(({ size }) => size);
  const boxes = squarify(sizes, WIDTH, HEIGHT);

  const drawn = boxes.flatMap((box, i) => {
    const layer = layers[i];
    return layer === undefined ? [] : layerBox(layer, box, shares);
  });
  return svg(HEIGHT + 28, 'layers of the last build', [...drawn, ...shadesLegend(HEIGHT + 8)]);
}

function layerBox(layer: SimulatedLayer, box: Box, shares: ReadonlyMap<string, number>): Element {
  const share = Math.max(...layer.components.map((id) => shares.get(id) ?? 0));
  const shade = Math.min(SHADES.length - 1, Math.floor(share * SHADES.length));
  const names = componentNames(layer.components);
  const title = `${formatBytes(layer.size)}, ${layer.components.length} components: ${names}`;
  const area = {
    x: round(box.x),
    y: round(box.y),
    width: round(box.width),
    height: round(box.height),
  };
  return element('g', {}, [
    element('title', {}, [title]),
    element('rect', { ...area, fill: SHADES[shade] ?? '', stroke: '#444' }),
    ...labels(layer, box, shade >= DARK_SHADE ? '#fff' : '#1a1a1a'),
  ]);
}

/** Returns the names and the size of a layer, as far as they fit into its box. */
function labels(layer: SimulatedLayer, box: Box, color: string): Element[] {
  const lines: string[] = [];
  if (box.width > MIN_LABEL_WIDTH && box.height > 18) {
    lines.push(componentNames(layer.components));
  }
  if (box.width > MIN_LABEL_WIDTH && box.height > 34) {
    lines.push(formatBytes(layer.size));
  }
  return lines
    .filter((line) => line !== '')
    .map((line, i) => {
      const position = { x: round(box.x + 5), y: round(box.y + 15 + LINE_HEIGHT * i) };
      return element('text', { ...position, fill: color }, [fit(line, box.width)]);
    });
}

function shadesLegend(y: number): Element[] {
  const boxes = SHADES.map((fill, i) => {
    const area = { x: i * SHADE_WIDTH + 1, y, width: SHADE_WIDTH, height: 16 };
    return element('rect', { ...area, fill, stroke: '#444' });
  });
  const text = { x: SHADES.length * SHADE_WIDTH + 10, y: y + 13 };
  return [...boxes, element('text', text, ['changes in 0 to 100 % of the updates'])];
}

/** Returns in which share of the updates each component changed. */
function changeShares(chain: Chain): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  let previous = new Map<string, string>();
  for (const { components } of chain) {
    const versions = new Map(components.map(({ id, version }) => [id, version]));
    for (const [id, version] of versions) {
      if (previous.has(id) && previous.get(id) !== version) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
    previous = versions;
  }
  const updates = Math.max(1, chain.length - 1);
  return new Map([...counts].map(([id, count]) => [id, count / updates]));
}
