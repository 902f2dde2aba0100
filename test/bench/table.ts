/** Formats the measurements of the bench as a table, for terminals or as Markdown. */
import { type Measurement, median } from './measure.js';
import type { Subject } from './subjects.js';

export type Row = readonly string[];

const HEADER: Row = ['', 'seconds', 'processor', 'MB', 'peak MB', 'ratio', 'processor ratio'];

/** Makes the row of a subject: medians, and the median of the ratios of each round. */
export function rowOf(
  { name, reference }: Subject,
  results: ReadonlyMap<string, readonly Measurement[]>,
): Row {
  const runs = results.get(name) ?? [];
  const paced = reference === undefined ? [] : (results.get(reference) ?? []);
  const middle = (of: (run: Measurement) => number | undefined) => {
    const values = runs.map(of).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const ratio = (of: (run: Measurement) => number | undefined) => {
    const ratios = paced.map(
      (pace, i) => (of(runs[i] as Measurement) ?? Number.NaN) / (of(pace) ?? Number.NaN),
    );
    return ratios.length === 0 || ratios.some(Number.isNaN) ? undefined : median(ratios);
  };
  const number = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '';
  const megabytes = (bytes: number | undefined) => bytes && bytes / 1e6;
  return [
    name,
    number(
      middle(({ seconds }) => seconds),
      1,
    ),
    number(
      middle(({ cpu }) => cpu),
      1,
    ),
    number(megabytes(middle(({ bytesOut }) => bytesOut)), 0),
    number(megabytes(middle(({ peak }) => peak)), 0),
    number(
      ratio(({ seconds }) => seconds),
      2,
    ),
    number(
      ratio(({ cpu }) => cpu),
      2,
    ),
  ];
}

export function formatRows(rows: readonly Row[], asMarkdown: boolean): string {
  const all = [HEADER, ...rows];
  if (asMarkdown) {
    const line = (row: Row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    return [
      line(HEADER),
      `|${' --- |'}${' ---: |'.repeat(HEADER.length - 1)}`,
      ...rows.map(line),
    ].join('\n');
  }
  const widths = HEADER.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0] as number) : text.padStart((widths[column] as number) + 2);
  return all.map((row) => row.map(cell).join('')).join('\n');
}
