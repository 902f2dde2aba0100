/** What the drawings share: their size, scales and axes. Lengths are in units of the SVG. */
import type { SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { type Element, element } from './element.js';

export const WIDTH = 960;
/** The height of a chart with axes. */
export const HEIGHT = 300;
/** Room for the labels of the vertical axis. */
export const LEFT = 72;
/** Room for the labels of the horizontal axis. */
const BOTTOM = 24;
/** Space at the top and at the right. */
const MARGIN = 8;
/** The size of the area between the axes. */
const PLOT_WIDTH = WIDTH - LEFT - MARGIN;
const PLOT_HEIGHT = HEIGHT - BOTTOM - MARGIN;
const CHARACTER_WIDTH = 7;
const DAY_LENGTH = 'YYYY-MM-DD'.length;
/** Three labels stand below the horizontal axis. */
const MAX_LABEL_WIDTH = (WIDTH - LEFT) / 3;
/** Component names in a label. */
const MAX_NAMES = 12;

/** Maps updates to columns and bytes to heights. */
export class Scale {
  readonly #columns: number;
  readonly #mostBytes: number;

  constructor(columns: number, mostBytes: number) {
    this.#columns = columns;
    this.#mostBytes = mostBytes;
  }

  /** Returns where column `i` begins. */
  x(i: number): number {
    const columns = Math.max(1, this.#columns);
    const offset = (i * PLOT_WIDTH) / columns;
    return round(LEFT + offset);
  }

  y(bytes: number): number {
    const height = (bytes * PLOT_HEIGHT) / this.#mostBytes;
    return HEIGHT - BOTTOM - height;
  }

  /** Returns three lines, at zero, half and the top, with their bytes. */
  verticalAxis(): Element[] {
    return [0, 0.5, 1].flatMap((share) => {
      const bytes = this.#mostBytes * share;
      const y = round(this.y(bytes));
      const line = element('line', {
        x1: LEFT,
        x2: WIDTH - MARGIN,
        y1: y,
        y2: y,
        stroke: '#bbb',
      });
      const text = formatBytes(Math.round(bytes));
      const position = {
        x: LEFT - 6,
        y: y + 4,
        'text-anchor': 'end',
      };
      const label = element('text', position, [text]);
      return [line, label];
    });
  }

  /**
   * Labels the first, the middle and the last column with the day of the build that is updated to
   * or, where it has no date, with its name.
   */
  horizontalAxis({ chain, updates, result: { lag } }: SimulationRun): Element[] {
    const last = updates.length - 1;
    if (last < 0) {
      return [];
    }
    const middle = last >> 1;
    const columns = new Set([0, middle, last]);
    return [...columns].map((i) => {
      const { date, build = '' } = chain[i + lag] ?? {};
      const day = date?.slice(0, DAY_LENGTH);
      const text = fit(day ?? build, MAX_LABEL_WIDTH);

      const anchor = anchorOf(i, last);
      const start = this.x(i);
      const end = this.x(i + 1);
      const positions = {
        start,
        middle: (start + end) / 2,
        end,
      };
      const label = {
        x: round(positions[anchor]),
        y: HEIGHT - BOTTOM + 16,
        'text-anchor': anchor,
      };
      return element('text', label, [text]);
    });
  }
}

/** Labels at the edges stay inside; a chart of one or two columns has room for centered ones. */
function anchorOf(column: number, last: number): 'start' | 'middle' | 'end' {
  if (last < 2) {
    return 'middle';
  }
  if (column === 0) {
    return 'start';
  }
  return column === last ? 'end' : 'middle';
}

/** @param label describes the drawing to those who cannot see it */
export function svg(height: number, label: string, children: readonly Element[]): Element {
  const attributes = {
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: 'img',
    'aria-label': label,
  };
  return element('svg', attributes, children);
}

export function componentNames(ids: readonly string[]): string {
  const names = ids.slice(0, MAX_NAMES).join(', ');
  const more = ids.length - MAX_NAMES;
  return more > 0 ? `${names} and ${more} more` : names;
}

/** Returns `text`, cut where it would be wider than `width`. */
export function fit(text: string, width: number): string {
  const length = Math.floor((width - 8) / CHARACTER_WIDTH);
  if (text.length <= length) {
    return text;
  }
  const beginning = text.slice(0, Math.max(1, length - 1));
  return `${beginning}…`;
}

/** One digit after the point is finer than the eye sees, and keeps the file small. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
