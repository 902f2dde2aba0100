/** Numbers, lists and tables as people read them. */
import { stdoutColors } from './colors.js';
import { printable } from './print.js';

const UNITS = ['kB', 'MB', 'GB', 'TB'];

/** Characters of component names in one row of a table that has other columns too. */
export const NAMES_WIDTH = 72;
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
  return unit === 'B' ? `${value} B` : `${value.toFixed(value < 99.95 ? 1 : 0)} ${unit}`;
}

/** Returns `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Returns `12.3 %`; 0 % where `whole` is 0. */
export function formatPercent(part: number, whole: number): string {
  return `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;
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
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
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

/**
 * Returns aligned columns under a header, without trailing blanks. Control characters
 * in cells are escaped.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = columns.map(({ title }, i) =>
    cells.reduce((width, row) => Math.max(width, row[i]?.length ?? 0), title.length),
  );

  const padded = (cell: string, i: number) => {
    const width = widths[i] ?? 0;
    return columns[i]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
  };
  const line = (row: readonly string[]) => row.map(padded).join('  ').trimEnd();

  const header = stdoutColors.bold(line(columns.map(({ title }) => title)));
  return [header, ...cells.map(line)].join('\n');
}

/** Returns the first names of a list, up to `width` characters, and how many more there are. */
export function someNames(names: readonly string[], width: number): string {
  let shown = 0;
  let length = 0;
  for (const name of names) {
    length += name.length + 2;
    if (shown > 0 && length > width) {
      break;
    }
    shown++;
  }
  const more = names.length - shown;
  return `${names.slice(0, shown).join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
}
