/** Bytes of each update: a line of steps for each strategy, and the lower bounds as areas. */
import {
  hasPartBound,
  type SimulatedUpdate,
  type SimulationRun,
} from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { HEIGHT, LEFT, round, Scale, svg } from './chart.js';
import { type Element, element } from './element.js';

/** Colors that people with any color vision can tell apart (Okabe and Ito 2008), and dashes. */
const STROKES = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const DASHES = [
  '', // a solid line
  '7 3',
  '2 3',
  '9 3 2 3',
  '12 4',
  '4 2',
  '1 4',
];

/** What a layout is compared with: what updates would cost with one layer for each of something. */
interface Bound {
  readonly name: string;
  readonly color: string;
  readonly bytesOf: (update: SimulatedUpdate) => number;
}

const COMPONENT_BOUND: Bound = {
  name: 'one layer per component',
  color: '#e4e4e4',
  bytesOf: ({ boundBytes }) => boundBytes,
};
const PART_BOUND: Bound = {
  name: 'one layer per part of a component',
  color: '#cacaca',
  bytesOf: ({ partBoundBytes }) => partBoundBytes,
};

const LEGEND_COLUMNS = 4;
const LEGEND_COLUMN_WIDTH = 220;
const LEGEND_ROW_HEIGHT = 20;
const LEGEND_TOP = HEIGHT + 18;
/** Width of the sample of a line that stands before its name. */
const SAMPLE_WIDTH = 36;
/** Space between a sample and the left edge of its name, measured with the sample. */
const NAME_OFFSET = SAMPLE_WIDTH + 6;

/** @param runs on the same series and lag, hence with the same bounds */
export function linesDrawing(first: SimulationRun, runs: readonly SimulationRun[]): Element {
  const updates = runs.flatMap((run) => run.updates);
  const bounds = hasPartBound(first.result) ? [COMPONENT_BOUND, PART_BOUND] : [COMPONENT_BOUND];
  const bytes = updates.flatMap((update) => [update.bytes, update.boundBytes]);
  const mostBytes = Math.max(1, ...bytes);
  const scale = new Scale(first.updates.length, mostBytes);

  const legendRows = Math.ceil(runs.length / LEGEND_COLUMNS);
  const boundsTop = LEGEND_TOP + legendRows * LEGEND_ROW_HEIGHT;
  const bottom = boundsTop + (bounds.length - 1) * LEGEND_ROW_HEIGHT + 8;
  return svg(bottom, 'bytes of each update', [
    ...bounds.map((bound) => boundArea(first.updates, bound, scale)),
    ...scale.verticalAxis(),
    ...scale.horizontalAxis(first),
    ...runs.map((run, i) => line(run, i, scale)),
    ...runs.flatMap((run, i) => legend(run, i)),
    ...bounds.flatMap((bound, i) => boundLegend(bound, boundsTop + i * LEGEND_ROW_HEIGHT)),
  ]);
}

function line({ result, updates }: SimulationRun, i: number, scale: Scale): Element {
  const bytes = updates.map((update) => update.bytes);
  const points = steps(bytes, scale);
  const attributes = {
    fill: 'none',
    ...strokeOf(i),
    points,
  };

  const { strategy } = result;
  const mean = formatBytes(Math.round(result.mean));
  const title = element('title', {}, [`${strategy}: ${mean} on average`]);
  return element('polyline', attributes, [title]);
}

function boundArea(
  updates: readonly SimulatedUpdate[],
  { bytesOf, color }: Bound,
  scale: Scale,
): Element {
  const bottom = scale.y(0);
  const start = pointAt(scale.x(0), bottom);
  const end = pointAt(scale.x(updates.length), bottom);

  const bytes = updates.map(bytesOf);
  const top = steps(bytes, scale);
  return element('polygon', {
    fill: color,
    points: `${start} ${top} ${end}`,
  });
}

/** Returns a horizontal line in each column; their ends are joined when drawn. */
function steps(values: readonly number[], scale: Scale): string {
  const points: string[] = [];
  for (const [i, value] of values.entries()) {
    const y = round(scale.y(value));
    const start = pointAt(scale.x(i), y);
    const end = pointAt(scale.x(i + 1), y);
    points.push(start, end);
  }
  return points.join(' ');
}

function pointAt(x: number, y: number): string {
  return `${x},${y}`;
}

function legend({ result }: SimulationRun, i: number): Element[] {
  const column = i % LEGEND_COLUMNS;
  const row = Math.floor(i / LEGEND_COLUMNS);
  const x = LEFT + column * LEGEND_COLUMN_WIDTH;
  const y = LEGEND_TOP + row * LEGEND_ROW_HEIGHT;
  const sample = element('line', {
    x1: x,
    x2: x + SAMPLE_WIDTH,
    y1: y - 4,
    y2: y - 4,
    ...strokeOf(i),
  });
  const name = element('text', { x: x + NAME_OFFSET, y }, [result.strategy]);
  return [sample, name];
}

function boundLegend(bound: Bound, y: number): Element[] {
  const sample = element('rect', {
    x: LEFT,
    y: y - 10,
    width: SAMPLE_WIDTH,
    height: 10,
    fill: bound.color,
  });
  const x = LEFT + NAME_OFFSET;
  const name = element('text', { x, y }, [bound.name]);
  return [sample, name];
}

function strokeOf(i: number) {
  return {
    stroke: STROKES[i % STROKES.length] ?? '#000000',
    'stroke-width': 2,
    'stroke-dasharray': DASHES[i % DASHES.length] ?? '',
  };
}
