/**
 * The report of `layout simulate --html`: one file without scripts or external resources.
 * Everything that it draws also stands in its tables or in the titles of the drawn shapes.
 */
import type { SimulationRun } from '../../../layout/simulate.js';
import { formatBytes } from '../../output/format.js';
import { WIDTH } from './chart.js';
import { columnsDrawing } from './columns.js';
import { type Element, element } from './element.js';
import { linesDrawing } from './lines.js';
import { treemapDrawing } from './treemap.js';

const STYLE = `
body {
  font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  margin: 2rem auto; max-width: ${WIDTH}px; padding: 0 1rem
}
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif }
h2 { margin-top: 3rem; border-top: 2px solid #1a1a1a; padding-top: 1rem }
figure { margin: 1.5rem 0 } figcaption { color: #444 }
`;

export function htmlReport(runs: readonly SimulationRun[]): string {
  const sections: string[] = [];
  for (const [title, group] of grouped(runs)) {
    for (const { html } of section(title, group)) {
      sections.push(html);
    }
  }
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Layouts compared</title>
<meta name="viewport" content="width=device-width">
<style>${STYLE}</style></head><body>
<h1>Layouts compared</h1>
<p>What clients fetch with each update. A ratio of 1 is what one layer for each component would
cost: only a layout that splits components can do better. The second ratio compares with one layer
for each part of a component.</p>
${sections.join('\n')}
</body></html>
`;
}

/** Strategies are compared where all else is equal. */
function grouped(runs: readonly SimulationRun[]): ReadonlyMap<string, readonly SimulationRun[]> {
  const groups = new Map<string, SimulationRun[]>();
  for (const run of runs) {
    const { series, maxLayers, lag } = run.result;
    const updates = lag === 1 ? 'every update' : `every ${lag} builds`;
    const title = `${series}: ${maxLayers} layers, ${updates}`;
    const group = groups.get(title) ?? [];
    group.push(run);
    groups.set(title, group);
  }
  return groups;
}

function section(title: string, runs: readonly SimulationRun[]): readonly Element[] {
  const [first] = runs;
  if (first === undefined) {
    return [];
  }
  const { strategy } = first.result;
  return [
    element('h2', {}, [title]),
    table(runs),
    figure('Bytes of each update', linesDrawing(first, runs)),
    figure(
      `${strategy}: what each layer costs over time. One column per update, one block per layer ` +
        'that is fetched.',
      columnsDrawing(first),
    ),
    figure(
      `${strategy}: the layers of the last build by size, darker the more often the most ` +
        'volatile component changed.',
      treemapDrawing(first),
    ),
  ];
}

function table(runs: readonly SimulationRun[]): Element {
  const titles = COLUMNS.map(({ title }) => title);
  const rows = runs.map(({ result }) => {
    const texts = COLUMNS.map(({ text }) => text(result));
    return row('td', texts);
  });
  const header = row('th', titles);
  return element('table', {}, [header, ...rows]);
}

interface Column {
  readonly title: string;
  readonly text: (result: SimulationRun['result']) => string;
}

const COLUMNS: readonly Column[] = [
  {
    title: 'Strategy',
    text: ({ strategy }) => strategy,
  },
  {
    title: 'Ratio',
    text: ({ ratio }) => ratio.toFixed(3),
  },
  {
    title: 'Ratio to parts',
    text: ({ partRatio }) => partRatio.toFixed(3),
  },
  {
    title: 'Mean',
    text: ({ mean }) => wholeBytes(mean),
  },
  {
    title: 'Median',
    text: ({ median }) => wholeBytes(median),
  },
  {
    title: '90 %',
    text: ({ p90 }) => wholeBytes(p90),
  },
  {
    title: 'Total',
    text: ({ bytes }) => wholeBytes(bytes),
  },
];

/** @param bytes may have a fraction, as means have */
function wholeBytes(bytes: number): string {
  const whole = Math.round(bytes);
  return formatBytes(whole);
}

function row(cell: 'th' | 'td', texts: readonly string[]): Element {
  const cells = texts.map((text) => element(cell, {}, [text]));
  return element('tr', {}, cells);
}

function figure(caption: string, drawing: Element): Element {
  const text = element('figcaption', {}, [caption]);
  return element('figure', {}, [drawing, text]);
}
