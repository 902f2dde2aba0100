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
const BORDER = '#444';
const DARK_TEXT = '#1a1a1a';
const LIGHT_TEXT = '#fff';
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
  const layers = last.layers.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size);
  const sizes = layers.map(({ size }) => size);
  const boxes = squarify(sizes, WIDTH, HEIGHT);

  const children: Element[] = [];
  for (const [i, box] of boxes.entries()) {
    const layer = layers[i];
    if (layer !== undefined) {
      const drawn = layerBox(layer, box, shares);
      children.push(drawn);
    }
  }
  const legend = shadesLegend(HEIGHT + 8);
  children.push(...legend);
  return svg(HEIGHT + 28, 'layers of the last build', children);
}

function layerBox(layer: SimulatedLayer, box: Box, shares: ReadonlyMap<string, number>): Element {
  const { components } = layer;
  const size = formatBytes(layer.size);
  const names = componentNames(components);
  const title = `${size}, ${components.length} components: ${names}`;

  const shade = shadeOf(layer, shares);
  const area = element('rect', {
    x: round(box.x),
    y: round(box.y),
    width: round(box.width),
    height: round(box.height),
    fill: SHADES[shade] ?? '',
    stroke: BORDER,
  });
  const textColor = shade >= DARK_SHADE ? LIGHT_TEXT : DARK_TEXT;
  return element('g', {}, [element('title', {}, [title]), area, ...labels(layer, box, textColor)]);
}

/** Returns an index of {@link SHADES}, by the component that changed most often. */
function shadeOf(layer: SimulatedLayer, shares: ReadonlyMap<string, number>): number {
  const sharesOfLayer = layer.components.map((id) => shares.get(id) ?? 0);
  const share = Math.max(...sharesOfLayer);
  const shade = Math.floor(share * SHADES.length);
  const darkest = SHADES.length - 1;
  return Math.min(darkest, shade);
}

/** Returns the names and the size of a layer, as far as they fit into its box. */
function labels(layer: SimulatedLayer, box: Box, color: string): Element[] {
  if (box.width <= MIN_LABEL_WIDTH) {
    return [];
  }
  const names = componentNames(layer.components);
  const lines: string[] = [];
  if (names !== '' && box.height > 18) {
    lines.push(names);
  }
  if (box.height > 34) {
    const size = formatBytes(layer.size);
    lines.push(size);
  }
  return lines.map((line, i) => {
    const text = fit(line, box.width);
    const top = box.y + i * LINE_HEIGHT;
    const position = {
      x: round(box.x + 5),
      y: round(top + 15),
      fill: color,
    };
    return element('text', position, [text]);
  });
}

function shadesLegend(y: number): Element[] {
  const boxes = SHADES.map((fill, i) =>
    element('rect', {
      x: i * SHADE_WIDTH + 1,
      y,
      width: SHADE_WIDTH,
      height: 16,
      fill,
      stroke: BORDER,
    }),
  );
  const position = {
    x: SHADES.length * SHADE_WIDTH + 10,
    y: y + 13,
  };
  const text = element('text', position, ['changes in 0 to 100 % of the updates']);
  return [...boxes, text];
}

/** Returns in which share of the updates each component changed. */
function changeShares(chain: Chain): ReadonlyMap<string, number> {
  const updates = Math.max(1, chain.length - 1);
  const shares = new Map<string, number>();
  for (const [id, count] of changeCounts(chain)) {
    shares.set(id, count / updates);
  }
  return shares;
}

function changeCounts(chain: Chain): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  let previous = new Map<string, string>();
  for (const { components } of chain) {
    const versions = new Map<string, string>();
    for (const { id, version } of components) {
      const before = previous.get(id);
      const count = counts.get(id) ?? 0;
      if (before !== undefined && before !== version) {
        counts.set(id, count + 1);
      }
      versions.set(id, version);
    }
    previous = versions;
  }
  return counts;
}
