/** The report on simulated layouts, as text, JSON or HTML. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { inContextAsync } from '../../errors.js';
import { type Comparison, comparisonsOf } from '../../layout/paired.js';
import { hasPartBound, type SimulationResult, type SimulationRun } from '../../layout/simulate.js';
import { formatBytes, formatTable, left, right } from '../output/format.js';
import { print } from '../output/print.js';
import { differenceText } from './differences.js';
import { updateCosts, updateTable } from './published.js';
import type { Series } from './series.js';

/** Where the column is that only series with directories have. */
const PARTS_COLUMN = 6;

export interface ReportOptions {
  readonly json?: boolean | undefined;
  readonly html?: string | undefined;
}

/** `--json` and `--html`. */
export function reportOptions(command: Command): Command {
  return command
    .option('--json', 'print the results as JSON')
    .option('--html <file>', 'write charts to a self-contained HTML file');
}

export async function reportRuns(
  series: readonly Series[],
  runs: readonly SimulationRun[],
  { json, html }: ReportOptions,
): Promise<void> {
  if (html !== undefined) {
    const { htmlReport } = await import('./html/report.js');
    await inContextAsync(`writing ${html}`, () => writeFile(html, htmlReport(runs)));
  }
  const results = runs.map(({ result }) => result);
  const comparisons = comparisonsOf(runs);
  const updates = updateCosts(series, runs);
  if (json) {
    print(JSON.stringify({ results, comparisons, updates }));
    return;
  }
  const tables = [resultTable(results)];
  if (comparisons.length > 0) {
    tables.push(comparisonTable(comparisons));
  }
  if (updates.length > 0) {
    tables.push(updateTable(updates));
  }
  print(tables.join('\n\n'));
}

function resultTable(results: readonly SimulationResult[]): string {
  const hasParts = results.some(hasPartBound);
  const columns = [
    left('SERIES'),
    left('STRATEGY'),
    right('LAYERS'),
    right('LAG'),
    right('UPDATES'),
    right('RATIO'),
    right('MEAN'),
    right('MEDIAN'),
    right('P90'),
    right('TOTAL'),
  ];
  if (hasParts) {
    columns.splice(PARTS_COLUMN, 0, right('PARTS'));
  }
  const rows = results.map((result) => {
    const cells = [
      result.series,
      result.strategy,
      String(result.maxLayers),
      String(result.lag),
      String(result.updates),
      result.ratio.toFixed(3),
      wholeBytes(result.mean),
      wholeBytes(result.median),
      wholeBytes(result.p90),
      wholeBytes(result.bytes),
    ];
    if (hasParts) {
      cells.splice(PARTS_COLUMN, 0, result.partRatio.toFixed(3));
    }
    return cells;
  });
  return formatTable(columns, rows);
}

/** @param bytes may have a fraction, as means have */
function wholeBytes(bytes: number): string {
  const whole = Math.round(bytes);
  return formatBytes(whole);
}

const COMPARISON_NOTE = `\
VS BEST: how much more updates cost than with the best layout. In brackets is the 95 % interval:
if it holds 0, the series does not tell the two apart. It takes six updates that share no build.`;

function comparisonTable(comparisons: readonly Comparison[]): string {
  const strategies = new Set(comparisons.map(({ strategy }) => strategy));
  const numbers = new Set(comparisons.map(({ maxLayers }) => maxLayers));
  const columns: ComparisonColumn[] = [];
  if (strategies.size > 1) {
    columns.push({ title: 'VS BEST OF SAME LAYERS', key: 'sameLayers' });
  }
  if (numbers.size > 1) {
    columns.push({ title: 'VS BEST OF ALL', key: 'all' });
  }

  const rows = comparisons.map((comparison) => {
    const { series, strategy, maxLayers, lag } = comparison;
    const differences = columns.map(({ key }) => {
      return differenceText(comparison, comparison[key]);
    });
    return [series, strategy, String(maxLayers), String(lag), ...differences];
  });
  const header = [
    left('SERIES'),
    left('STRATEGY'),
    right('LAYERS'),
    right('LAG'),
    ...columns.map(({ title }) => right(title)),
  ];
  const table = formatTable(header, rows);
  return `${table}\n${COMPARISON_NOTE}`;
}

interface ComparisonColumn {
  readonly title: string;
  readonly key: 'sameLayers' | 'all';
}
