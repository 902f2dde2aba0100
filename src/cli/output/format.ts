/** Numbers, lists and tables as people read them. */
import { stdoutColors } from './colors.js';
import { printable } from './print.js';
import { lineWidth } from './width.js';

const UNITS = ['kB', 'MB', 'GB', 'TB'];

/** Characters of component names in a row of a table, unless the width of a line is known. */
export const NAMES_WIDTH = 72;
/** A column of names is never narrower, however narrow the terminal is. */
const LEAST_NAMES_WIDTH = 20;
/** Characters of the names that explain a change: the reason is what the reader came for. */
export const REASONS_WIDTH = 90;

/** Returns `999 B`, `1.2 kB`, `34.5 MB`: powers of 1000, as registries and disks count. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of UNITS) {
    if (value < 999.5) {
      break;
    }
    value /= 1000;
    unit = next;
  }
  if (unit === 'B') {
    return `${value} B`;
  }
  const digits = value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/** Where commas stand in a count. `toLocaleString` would first load the data of all languages. */
const THOUSANDS = /\B(?=(\d{3})+$)/g;

/** Returns `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(THOUSANDS, ',');
}

/** Returns `12.3 %`; 0 % where `whole` is 0. */
export function formatPercent(part: number, whole: number): string {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  return `${percent.toFixed(1)} %`;
}

/** Returns how often something is expected to change: `3.4/year`, or `every build` for infinity. */
export function formatRate(changesPerYear: number): string {
  if (changesPerYear === Infinity) {
    return 'every build';
  }
  const rate = changesPerYear < 10 ? changesPerYear.toFixed(1) : Math.round(changesPerYear);
  return `${rate}/year`;
}

/** Returns `3 layers`, `1 layer`. */
export function counted(count: number, noun: string): string {
  const nouns = count === 1 ? noun : `${noun}s`;
  return `${formatCount(count)} ${nouns}`;
}

/** Returns `sha256:` and 12 hex digits, which is enough to find a blob by. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** A column of text. */
export const left = (title: string): Column => ({ title, align: 'left' });
/** A column of numbers. */
export const right = (title: string): Column => ({ title, align: 'right' });

/** The cell of a table: text, or names of which as many are shown as fit into the line. */
export type Cell = string | readonly string[];

const GAP = '  ';

/**
 * Returns aligned columns under a header, without trailing blanks. Control characters in cells are
 * escaped. Only the last column may have lists of names.
 * @param width characters of a line; infinite if it is unknown
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number = lineWidth(process.stdout),
): string {
  const widths = columns.map((column, i) => widthOf(column, i, rows));
  const namesWidth = lastWidth(widths, width);

  const padded = (cell: Cell, i: number) => {
    const shown = isText(cell) ? cell : someNames(cell, namesWidth);
    const text = printable(shown);
    const columnWidth = widths[i] ?? 0;
    const isNumber = columns[i]?.align === 'right';
    return isNumber ? text.padStart(columnWidth) : text.padEnd(columnWidth);
  };
  const line = (row: readonly Cell[]) => {
    const cells = row.map(padded);
    return cells.join(GAP).trimEnd();
  };

  const titles = columns.map(({ title }) => title);
  const header = stdoutColors.bold(line(titles));
  const lines = rows.map(line);
  return [header, ...lines].join('\n');
}

/** Returns the width of the title and the texts of column `i`; lists of names do not count. */
function widthOf({ title }: Column, i: number, rows: readonly (readonly Cell[])[]): number {
  let width = title.length;
  for (const row of rows) {
    const cell = row[i] ?? '';
    if (isText(cell)) {
      const { length } = printable(cell);
      width = Math.max(width, length);
    }
  }
  return width;
}

/** Returns what the other columns leave to the last one. */
function lastWidth(widths: readonly number[], lineLength: number): number {
  let rest = lineLength;
  for (const width of widths.slice(0, -1)) {
    rest -= width + GAP.length;
  }
  if (rest === Infinity) {
    return NAMES_WIDTH;
  }
  return Math.max(rest, LEAST_NAMES_WIDTH);
}

function isText(cell: Cell): cell is string {
  return typeof cell === 'string';
}

/**
 * Returns the first names of a list and how many more there are, in up to `width` characters, but
 * at least one name.
 */
export function someNames(names: readonly string[], width: number): string {
  const [first = '', ...others] = names;
  let text = first;
  let shown = withMore(text, others.length);
  for (const [i, name] of others.entries()) {
    text = `${text}, ${name}`;
    if (text.length > width) {
      break;
    }
    const more = others.length - i - 1;
    const candidate = withMore(text, more);
    shown = candidate.length <= width ? candidate : shown;
  }
  return shown;
}

function withMore(text: string, more: number): string {
  return more > 0 ? `${text} and ${formatCount(more)} more` : text;
}

/** Returns for example `8 s`, `12 min` or `3 h 5 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.round(whole / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return `${hours} h ${minutes % 60} min`;
}
