/**
 * Charts of lines. The lines are SVG that is stretched to the width of the page, and the labels are
 * HTML beside it, so that text and strokes keep their size at any width.
 */
import { type ScaleLinear, scaleLinear, scaleUtc } from 'd3-scale';
import { area, curveStepAfter, line } from 'd3-shape';
import { formatBytes } from '../output/format.js';
import { type Element, element, percent } from './element.js';
import { LINE_STYLES } from './style/charts.js';

/** A position, and bytes. */
export type Point = readonly [x: number, bytes: number];

export interface Line {
  readonly name: string;
  /** The value of a point holds until the next point. */
  readonly points: readonly Point[];
}

export interface LineChart {
  /** Describes the chart to those who cannot see it. */
  readonly label: string;
  readonly lines: readonly Line[];
  /** Drawn below the lines. */
  readonly areas?: readonly Line[] | undefined;
  /** Labels of the horizontal axis, in its units. */
  readonly ticks: readonly Tick[];
}

export interface Tick {
  readonly x: number;
  readonly text: string;
}

/** The units of the drawing; what is seen is stretched. */
const WIDTH = 1000;
const HEIGHT = 300;
const VERTICAL_TICKS = 5;
const DAY_LENGTH = 'YYYY-MM-DD'.length;

interface Scales {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
}

/** Returns the chart and its legend. */
export function lineChart({ label, lines, areas = [], ticks }: LineChart): readonly Element[] {
  const points = [...lines, ...areas].flatMap((each) => each.points);
  const scales = scalesOf(points);
  const marks = scales.y.ticks(VERTICAL_TICKS);
  const size = {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
  };
  const drawing = element('svg', { ...size, 'aria-hidden': 'true' }, [
    ...areas.map((each, i) => areaPath(each, i, scales)),
    ...marks.map((bytes) => rule(scales.y(bytes))),
    ...lines.map((each, i) => linePath(each, i, scales)),
  ]);
  const plot = {
    class: 'plot',
    role: 'img',
    'aria-label': label,
  };
  return [
    legend(lines, areas),
    element('div', plot, [
      verticalLabels(marks, scales.y),
      drawing,
      horizontalLabels(ticks, scales.x),
    ]),
  ];
}

function scalesOf(points: readonly Point[]): Scales {
  const positions = points.map(([x]) => x);
  const most = points.reduce((max, [, bytes]) => Math.max(max, bytes), 1);
  const [first, last] = [Math.min(...positions), Math.max(...positions)];
  const x = scaleLinear([first, Math.max(last, first + 1)], [0, WIDTH]);
  const y = scaleLinear([0, most], [HEIGHT, 0]);
  return {
    x,
    y: y.nice(VERTICAL_TICKS),
  };
}

function linePath({ name, points }: Line, i: number, { x, y }: Scales): Element {
  const path = line<Point>()
    .curve(curveStepAfter)
    .digits(1)
    .x(([position]) => x(position))
    .y(([, bytes]) => y(bytes));
  const attributes = {
    class: lineClass(i),
    d: path(points) ?? '',
  };
  return element('path', attributes, [element('title', {}, [name])]);
}

function areaPath({ points }: Line, i: number, { x, y }: Scales): Element {
  const path = area<Point>()
    .curve(curveStepAfter)
    .digits(1)
    .x(([position]) => x(position))
    .y0(y(0))
    .y1(([, bytes]) => y(bytes));
  return element('path', { class: areaClass(i), d: path(points) ?? '' });
}

function rule(y: number): Element {
  return element('path', { class: 'rule', d: `M0,${y.toFixed(1)}H${WIDTH}` });
}

function verticalLabels(marks: readonly number[], y: ScaleLinear<number, number>): Element {
  const labels = marks.map((bytes) => {
    const height = 1 - y(bytes) / HEIGHT;
    return element('span', { style: `bottom:${percent(height)}` }, [formatBytes(bytes)]);
  });
  return element('div', { class: 'scale-y' }, labels);
}

/** Labels at the edges stay inside. */
function horizontalLabels(ticks: readonly Tick[], x: ScaleLinear<number, number>): Element {
  const labels = ticks.map(({ x: position, text }) => {
    const share = x(position) / WIDTH;
    const style = `left:${percent(share)}`;
    return element('span', { class: placeOf(share), style }, [text]);
  });
  return element('div', { class: 'scale-x' }, labels);
}

function placeOf(share: number): string {
  if (share < 0.05) {
    return 'first';
  }
  return share > 0.95 ? 'last' : 'middle';
}

function legend(lines: readonly Line[], areas: readonly Line[]): Element {
  const size = {
    viewBox: '0 0 36 16',
    'aria-hidden': 'true',
    class: 'sample',
  };
  const samples = lines.map(({ name }, i) => {
    const stroke = element('path', { class: lineClass(i), d: 'M0,8H36' });
    return element('li', {}, [element('svg', size, [stroke]), name]);
  });
  const swatches = areas.map(({ name }, i) => {
    const swatch = element('span', { class: `swatch ${areaClass(i)}` });
    return element('li', {}, [swatch, name]);
  });
  return element('ul', { class: 'legend' }, [...samples, ...swatches]);
}

function lineClass(i: number): string {
  return `line-${(i % LINE_STYLES) + 1}`;
}

function areaClass(i: number): string {
  return `area-${i + 1}`;
}

/** Returns up to `count` round dates between two, in milliseconds since 1970. */
export function dateTicks(first: number, last: number, count: number): readonly Tick[] {
  const dates = scaleUtc([first, last], [0, 1]).ticks(count);
  const step = Math.ceil(dates.length / count);
  const shown = dates.filter((_, i) => i % step === 0);
  return shown.map((date) => {
    const text = date.toISOString().slice(0, DAY_LENGTH);
    return {
      x: date.getTime(),
      text,
    };
  });
}
