/** Bytes of each update: a line of steps for each strategy, and the lower bound as an area. */
import type { SimulatedUpdate, SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { HEIGHT, LEFT, round, Scale, svg } from './chart.js';
import { type Element, element } from './element.js';

/** Colors that people with any color vision can tell apart (Okabe and Ito 2008), and dashes. */
const STYLES = [
  { stroke: '#0072b2', dash: '' },
  { stroke: '#d55e00', dash: '7 3' },
  { stroke: '#009e73', dash: '2 3' },
  { stroke: '#cc79a7', dash: '9 3 2 3' },
  { stroke: '#e69f00', dash: '12 4' },
  { stroke: '#56b4e9', dash: '4 2' },
  { stroke: '#000000', dash: '1 4' },
];
const BOUND_COLOR = '#e4e4e4';

const LEGEND_COLUMNS = 4;
const LEGEND_COLUMN_WIDTH = 220;
const LEGEND_ROW_HEIGHT = 20;
const LEGEND_TOP = HEIGHT + 18;
/** Width of the sample of a line that stands before its name. */
const SAMPLE_WIDTH = 36;

/** @param runs on the same series and lag, hence with the same bound */
export function linesDrawing(first: SimulationRun, runs: readonly SimulationRun[]): Element {
  const bytes = runs.flatMap(({ updates }) => updates.map((update) => update.bytes));
  const scale = new Scale(first.updates.length, Math.max(1, ...bytes));
  const boundTop = LEGEND_TOP + Math.ceil(runs.length / LEGEND_COLUMNS) * LEGEND_ROW_HEIGHT;
  return svg(boundTop + 8, 'bytes of each update', [
    boundArea(first.updates, scale),
    ...scale.verticalAxis(),
    ...scale.horizontalAxis(first),
    ...runs.map((run, i) => line(run, i, scale)),
    ...runs.flatMap((run, i) => legend(run, i)),
    ...boundLegend(boundTop),
  ]);
}

function line({ result, updates }: SimulationRun, i: number, scale: Scale): Element {
  const points = steps(
    updates.map(({ bytes }) => bytes),
    scale,
  );
  const title = `${result.strategy}: ${formatBytes(Math.round(result.mean))} on average`;
  return element('polyline', { fill: 'none', ...strokeOf(i), points }, [
    element('title', {}, [title]),
  ]);
}

function boundArea(updates: readonly SimulatedUpdate[], scale: Scale): Element {
  const start = `${scale.x(0)},${scale.y(0)}`;
  const end = `${scale.x(updates.length)},${scale.y(0)}`;
  const top = steps(
    updates.map(({ boundBytes }) => boundBytes),
    scale,
  );
  return element('polygon', { fill: BOUND_COLOR, points: `${start} ${top} ${end}` });
}

/** Returns a horizontal line in each column; their ends are joined when drawn. */
function steps(values: readonly number[], scale: Scale): string {
  return values
    .map((value, i) => {
      const y = round(scale.y(value));
      return `${scale.x(i)},${y} ${scale.x(i + 1)},${y}`;
    })
    .join(' ');
}

function legend({ result }: SimulationRun, i: number): Element[] {
  const x = LEFT + (i % LEGEND_COLUMNS) * LEGEND_COLUMN_WIDTH;
  const y = LEGEND_TOP + Math.floor(i / LEGEND_COLUMNS) * LEGEND_ROW_HEIGHT;
  const sample = { x1: x, x2: x + SAMPLE_WIDTH, y1: y - 4, y2: y - 4 };
  return [
    element('line', { ...sample, ...strokeOf(i) }),
    element('text', { x: x + SAMPLE_WIDTH + 6, y }, [result.strategy]),
  ];
}

function boundLegend(y: number): Element[] {
  const sample = { x: LEFT, y: y - 10, width: SAMPLE_WIDTH, height: 10, fill: BOUND_COLOR };
  return [
    element('rect', sample),
    element('text', { x: LEFT + SAMPLE_WIDTH + 6, y }, ['one layer per component']),
  ];
}

function strokeOf(i: number) {
  const { stroke, dash } = STYLES[i % STYLES.length] ?? { stroke: '#000000', dash: '' };
  return { stroke, 'stroke-width': 2, 'stroke-dasharray': dash };
}
