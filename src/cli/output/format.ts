/** Numbers and tables as people read them. */
import { stdoutColors } from './colors.js';

const UNITS = ['kB', 'MB', 'GB', 'TB'];

/** `999 B`, `1.2 kB`, `34.5 MB`: powers of 1000, as registries and disks count. */
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

/** `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `12.3 %`; of nothing, 0 %. */
export function formatPercent(part: number, whole: number): string {
  return `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;
}

/** How often something is expected to change. */
export function formatRate(changesPerYear: number): string {
  if (changesPerYear === Infinity) {
    return 'every build';
  }
  return `${changesPerYear < 10 ? changesPerYear.toFixed(1) : Math.round(changesPerYear)}/year`;
}

/** `3 layers`, `1 layer`. */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `sha256:` and 12 hex digits: enough to find a blob by. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** Aligned columns under a header; the last column is not padded. Control characters in cells are escaped. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        if (columns[i]?.align === 'right') {
          return cell.padStart(width);
        }
        return i === columns.length - 1 ? cell : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [stdoutColors.bold(line(columns.map(({ title }) => title))), ...cells.map(line)].join(
    '\n',
  );
}

/** Text from an image or a tree, safe to print: it cannot move the cursor or start a new line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) =>
    JSON.stringify(character).slice(1, -1).replace('\x7f', '\\u007f'),
  );
}

/** The first names of a list, up to `width` characters, and how many there are more. */
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
