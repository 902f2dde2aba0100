/** `layout simulate --html`: one file without scripts or external resources; everything shown is also in its tables. */

import type { SimulationRun } from '../../layout/simulate.js';
import type { Component } from '../../plugin.js';
import { formatBytes } from '../output/format.js';
import { squarify } from './treemap.js';

const WIDTH = 960;
const HEIGHT = 300;
const LEFT = 72;
const BOTTOM = 24;
/** Colours that people with any colour vision tell apart (Okabe and Ito 2008), each with a dash pattern of its own. */
const STYLES: readonly (readonly [string, string])[] = [
  ['#0072b2', ''],
  ['#d55e00', '7 3'],
  ['#009e73', '2 3'],
  ['#cc79a7', '9 3 2 3'],
  ['#e69f00', '12 4'],
  ['#56b4e9', '4 2'],
  ['#000000', '1 4'],
];
/** Light to dark: in which share of the updates something in a layer changed. Readable in grey, too. */
const SHADES = [
  '#f7fbff',
  '#deebf7',
  '#c6dbef',
  '#9ecae1',
  '#6baed6',
  '#4292c6',
  '#2171b5',
  '#08519c',
  '#08306b',
];

export function htmlReport(runs: readonly SimulationRun[]): string {
  const groups = new Map<string, SimulationRun[]>();
  for (const run of runs) {
    const { series, maxLayers, lag } = run.result;
    const title = `${series}: ${maxLayers} layers, ${lag === 1 ? 'every update' : `every ${lag} builds`}`;
    groups.set(title, [...(groups.get(title) ?? []), run]);
  }
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Layouts compared</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: ${WIDTH}px; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #ddd } th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif } h2 { margin-top: 3rem; border-top: 2px solid #1a1a1a; padding-top: 1rem }
figure { margin: 1.5rem 0 } figcaption { color: #444 }
</style></head><body>
<h1>Layouts compared</h1>
<p>What clients fetch with each update. Ratio 1 is one layer per component: no layout can do better.</p>
${[...groups].map(([title, group]) => section(title, group)).join('\n')}
</body></html>
`;
}

function section(title: string, runs: readonly SimulationRun[]): string {
  const [first] = runs as [SimulationRun];
  const rows = runs.map(({ result }) => {
    const sizes = [result.mean, result.median, result.p90, result.bytes].map((each) =>
      formatBytes(Math.round(each)),
    );
    return `<tr>${[escaped(result.strategy), result.ratio.toFixed(3), ...sizes].map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const { strategy } = first.result;
  return `<h2>${escaped(title)}</h2>
<table><tr><th>Strategy</th><th>Ratio</th><th>Mean</th><th>Median</th><th>90 %</th><th>Total</th></tr>${rows.join('')}</table>
${figure('Bytes of each update', lines(runs))}
${figure(`${strategy}: what each layer costs over time. One column per update, one block per layer that is fetched.`, columns(first))}
${figure(`${strategy}: the layers of the last build by size, darker the more often the most volatile component changed.`, treemap(first))}`;
}

const figure = (caption: string, svg: string) =>
  `<figure>${svg}<figcaption>${escaped(caption)}</figcaption></figure>`;

/** Bytes per update: a line of steps for each strategy, the bound as an area. */
function lines(runs: readonly SimulationRun[]): string {
  const [first] = runs as [SimulationRun];
  const { updates: bound } = first;
  const most = Math.max(1, ...runs.flatMap(({ updates }) => updates.map(({ bytes }) => bytes)));
  const x = columnStart(bound.length);
  const y = (bytes: number) => HEIGHT - BOTTOM - (bytes * (HEIGHT - BOTTOM - 8)) / most;
  const points = (values: readonly number[]) =>
    values.map((value, i) => `${x(i)},${round(y(value))} ${x(i + 1)},${round(y(value))}`).join(' ');
  const area = `<polygon fill="#e4e4e4" points="${x(0)},${y(0)} ${points(bound.map(({ boundBytes }) => boundBytes))} ${x(bound.length)},${y(0)}"/>`;
  const drawn = runs.map(({ result, updates }, i) => {
    const [colour, dash] = STYLES[i % STYLES.length] as readonly [string, string];
    const label = `${result.strategy}: ${formatBytes(Math.round(result.mean))} on average`;
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}" points="${points(updates.map(({ bytes }) => bytes))}"><title>${escaped(label)}</title></polyline>`;
  });
  const legend = runs.map(({ result }, i) => {
    const [colour, dash] = STYLES[i % STYLES.length] as readonly [string, string];
    const at = HEIGHT + 18 + Math.floor(i / 4) * 20;
    const left = LEFT + (i % 4) * 220;
    return `<line x1="${left}" x2="${left + 36}" y1="${at - 4}" y2="${at - 4}" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/><text x="${left + 42}" y="${at}">${escaped(result.strategy)}</text>`;
  });
  const boundAt = HEIGHT + 18 + Math.ceil(runs.length / 4) * 20;
  const boundLegend = `<rect x="${LEFT}" y="${boundAt - 10}" width="36" height="10" fill="#e4e4e4"/><text x="${LEFT + 42}" y="${boundAt}">one layer per component</text>`;
  return svg(boundAt + 8, 'bytes of each update', [
    area,
    axis(most, y),
    dates(first),
    ...drawn,
    ...legend,
    boundLegend,
  ]);
}

/** Layers fetched in each update. */
function columns(run: SimulationRun): string {
  const { chain, updates } = run;
  const { lag } = run.result;
  const most = Math.max(1, ...updates.map(({ bytes }) => bytes));
  const x = columnStart(updates.length);
  const y = (bytes: number) => HEIGHT - BOTTOM - (bytes * (HEIGHT - BOTTOM - 8)) / most;
  const blocks = updates.flatMap((update, i) => {
    const before = new Set((chain[i]?.layers ?? []).map((layer) => layer.key));
    const fetched = (chain[i + lag]?.layers ?? []).filter(
      (layer) => layer.size > 0 && !before.has(layer.key),
    );
    let sum = 0;
    return fetched
      .toSorted((a, b) => b.size - a.size)
      .map((layer) => {
        const top = y(sum + layer.size);
        const height = y(sum) - top;
        sum += layer.size;
        const text = `${update.to}: ${formatBytes(layer.size)}, ${names(layer.components)}`;
        return `<rect x="${x(i)}" y="${round(top)}" width="${round(Math.max(0.5, x(i + 1) - x(i) - 1))}" height="${round(height)}" fill="#56b4e9" stroke="#fff" stroke-width=".5"><title>${escaped(text)}</title></rect>`;
      });
  });
  return svg(HEIGHT, 'layers fetched in each update', [axis(most, y), dates(run), ...blocks]);
}

/** The layers of the last build. */
function treemap({ chain }: SimulationRun): string {
  const last = chain.at(-1);
  if (last === undefined) {
    return svg(8, 'no builds', []);
  }
  const times = changeTimes(chain);
  const layers = last.layers.filter(({ size }) => size > 0).toSorted((a, b) => b.size - a.size);
  const height = 420;
  const boxes = squarify(
    layers.map(({ size }) => size),
    WIDTH,
    height,
  );
  const drawn = layers.map((layer, i) => {
    const {
      x,
      y,
      width,
      height: tall,
    } = boxes[i] as { x: number; y: number; width: number; height: number };
    const share =
      Math.max(...layer.components.map((id) => times.get(id) ?? 0)) / Math.max(1, chain.length - 1);
    const shade = Math.min(SHADES.length - 1, Math.floor(share * SHADES.length));
    const name = names(layer.components);
    const title = `<title>${escaped(`${formatBytes(layer.size)}, ${layer.components.length} components: ${name}`)}</title>`;
    const lines = [tall > 18 ? name : '', tall > 34 ? formatBytes(layer.size) : ''].filter(
      (line) => line !== '',
    );
    const label = (width > 60 ? lines : []).map(
      (line, k) =>
        `<text x="${round(x + 5)}" y="${round(y + 15 + 16 * k)}" fill="${shade > 4 ? '#fff' : '#1a1a1a'}">${escaped(fit(line, width))}</text>`,
    );
    return `<g>${title}<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(tall)}" fill="${SHADES[shade]}" stroke="#444"/>${label.join('')}</g>`;
  });
  return svg(height + 28, 'layers of the last build', [...drawn, shades(height + 8)]);
}

/** What the shades of the treemap mean. */
function shades(y: number): string {
  const side = 24;
  const boxes = SHADES.map(
    (shade, i) =>
      `<rect x="${i * side + 1}" y="${y}" width="${side}" height="16" fill="${shade}" stroke="#444"/>`,
  );
  return `${boxes.join('')}<text x="${SHADES.length * side + 10}" y="${y + 13}">changes in 0 to 100 % of the updates</text>`;
}

/** In how many updates each component changed. */
function changeTimes(chain: SimulationRun['chain']): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  let before = new Map<string, string>();
  for (const { components } of chain) {
    const versions = new Map(components.map(({ id, version }: Component) => [id, version]));
    for (const [id, version] of versions) {
      if (before.has(id) && before.get(id) !== version) {
        times.set(id, (times.get(id) ?? 0) + 1);
      }
    }
    before = versions;
  }
  return times;
}

/** Where column i of `count` begins. */
const columnStart = (count: number) => (i: number) =>
  round(LEFT + (i * (WIDTH - LEFT - 8)) / Math.max(1, count));

/** Below the first, the middle and the last column: the day of the build that is updated to or, of undated ones, its name. */
function dates({ chain, updates, result: { lag } }: SimulationRun): string {
  const x = columnStart(updates.length);
  const last = updates.length - 1;
  return [...new Set(last < 0 ? [] : [0, last >> 1, last])]
    .map((i) => {
      const { date, build = '' } = chain[i + lag] ?? {};
      const anchor = last < 2 ? 'middle' : i === 0 ? 'start' : i === last ? 'end' : 'middle';
      const at = { start: x(i), middle: (x(i) + x(i + 1)) / 2, end: x(i + 1) }[anchor];
      const text = fit(date?.slice(0, 'YYYY-MM-DD'.length) ?? build, (WIDTH - LEFT) / 3);
      return `<text x="${round(at)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="${anchor}">${escaped(text)}</text>`;
    })
    .join('');
}

/** Three lines from 0 to the top, with their bytes. */
function axis(most: number, y: (bytes: number) => number): string {
  return [0, 0.5, 1]
    .map((share) => {
      const at = round(y(most * share));
      return `<line x1="${LEFT}" x2="${WIDTH - 8}" y1="${at}" y2="${at}" stroke="#bbb"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${formatBytes(Math.round(most * share))}</text>`;
    })
    .join('');
}

const svg = (height: number, label: string, parts: readonly string[]) =>
  `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(label)}">${parts.join('')}</svg>`;

const names = (ids: readonly string[]) =>
  ids.length > 12 ? `${ids.slice(0, 12).join(', ')} and ${ids.length - 12} more` : ids.join(', ');
/** A character is about 7 wide. */
const fit = (text: string, width: number) => {
  const length = Math.floor((width - 8) / 7);
  return text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text;
};
const round = (value: number) => Math.round(value * 10) / 10;
const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
