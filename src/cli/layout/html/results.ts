/** The table that compares layouts. */
import { type Comparison, comparisonsOf, type PairedDifference } from '../../../layout/paired.js';
import { hasPartBound, type SimulationRun } from '../../../layout/simulate.js';
import type { Element } from '../../html/element.js';
import { note } from '../../html/page.js';
import { bar, type Cell, dataTable, intervalBar, type TableColumn } from '../../html/table.js';
import { formatBytes } from '../../output/format.js';
import { differenceText } from '../differences.js';

/** A layout, and how it compares with the others; undefined if there are none. */
interface Row {
  readonly result: SimulationRun['result'];
  readonly comparison: Comparison | undefined;
}

interface ResultColumn extends TableColumn {
  readonly cell: (row: Row) => Cell;
}

const NOTE =
  'Against best: how much more updates cost than with the best layout, and the 95 % interval of ' +
  'that. If it holds 0, the series does not tell the two apart.';

/** @param runs on the same series, number of layers and lag */
export function resultsTable(runs: readonly SimulationRun[]): readonly Element[] {
  const comparisons = comparisonsOf(runs);
  const rows = runs.map(({ result }, i): Row => ({ result, comparison: comparisons[i] }));
  const [first] = rows;
  if (first === undefined) {
    return [];
  }
  const { series, maxLayers, lag, updates } = first.result;
  const columns = [...costColumns(rows), ...sizeColumns(rows)];
  const builds = lag === 1 ? '' : `, ${lag} builds ahead`;
  const table = dataTable({
    caption: `Bytes of ${updates} updates of ${series} with ${maxLayers} layers${builds}`,
    columns,
    rows: rows.map((row) => columns.map(({ cell }) => cell(row))),
  });
  return comparisons.length > 0 ? [...table, note(NOTE)] : table;
}

/** What each layout costs: beside the best one or, if there is no other, as it is. */
function costColumns(rows: readonly Row[]): readonly ResultColumn[] {
  const name: ResultColumn = {
    title: 'Layout',
    kind: 'short',
    cell: ({ result }) => result.strategy,
  };
  const mean: ResultColumn = {
    title: 'Mean',
    kind: 'number',
    cell: ({ result }) => wholeBytes(result.mean),
  };
  const differences = rows.flatMap(({ comparison }) => comparison?.sameLayers ?? []);
  if (differences.length === 0) {
    return [name, mean];
  }
  const most = Math.max(1, ...differences.map(highest));
  const text: ResultColumn = {
    title: 'Against best',
    kind: 'number',
    cell: ({ comparison }) => (comparison ? differenceText(comparison, comparison.sameLayers) : ''),
  };
  const drawing: ResultColumn = {
    title: '',
    kind: 'bars',
    cell: ({ comparison }) => (comparison ? differenceBar(comparison.sameLayers, most) : ''),
  };
  return [name, mean, text, drawing];
}

function highest({ percent, interval }: PairedDifference): number {
  return interval?.high ?? percent;
}

/** @param most percents that are as wide as the cell */
function differenceBar({ percent, interval }: PairedDifference, most: number): Cell {
  if (interval === undefined || percent === 0) {
    return bar(percent / most);
  }
  const { low, high } = interval;
  return intervalBar({ value: percent / most, low: low / most, high: high / most });
}

function sizeColumns(rows: readonly Row[]): readonly ResultColumn[] {
  const columns: ResultColumn[] = [
    {
      title: 'Median',
      kind: 'number',
      cell: ({ result }) => wholeBytes(result.median),
    },
    {
      title: '90 %',
      kind: 'number',
      cell: ({ result }) => wholeBytes(result.p90),
    },
    {
      title: 'Total',
      kind: 'number',
      cell: ({ result }) => wholeBytes(result.bytes),
    },
    {
      title: 'Ratio',
      kind: 'number',
      cell: ({ result }) => result.ratio.toFixed(3),
    },
  ];
  if (rows.some(({ result }) => hasPartBound(result))) {
    columns.push({
      title: 'Ratio to parts',
      kind: 'number',
      cell: ({ result }) => result.partRatio.toFixed(3),
    });
  }
  return columns;
}

/** @param bytes may have a fraction, as means have */
function wholeBytes(bytes: number): string {
  const whole = Math.round(bytes);
  return formatBytes(whole);
}
