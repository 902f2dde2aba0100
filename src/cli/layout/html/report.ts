/** The page of `layout simulate --html`: what clients fetch with each layout. */
import type { SimulationRun } from '../../../layout/simulate.js';
import { type Element, element } from '../../html/element.js';
import { htmlPage, note, paragraph, section } from '../../html/page.js';
import { counted } from '../../output/format.js';
import { updatesFigure } from './charts.js';
import { downloadSection } from './downloads.js';
import { headlineOf } from './headline.js';
import { layersFigure } from './layers.js';
import { resultsTable } from './results.js';
import { lastBuildDrawing } from './treemap.js';

export function htmlReport(runs: readonly SimulationRun[]): string {
  const series = groupedBy(runs, ({ result }) => result.series);
  const layouts = groupedBy(runs, ({ result }) => `${result.strategy} ${result.maxLayers}`);
  const what = counted(layouts.size, 'layout');
  const where = series.size === 1 ? [...series.keys()].join('') : `${series.size} series`;
  const groups = groupedBy(runs, ({ result }) => `${result.series}: ${result.maxLayers} layers`);
  return htmlPage({
    kind: `Comparison of ${what} on ${where}`,
    headline: headlineOf(runs),
    lead: [
      paragraph(
        'Sizes are bytes of content, before compression. A ratio of 1 is what one layer for each ' +
          'component would cost: only a layout that splits components can do better.',
      ),
    ],
    sections: Array.from(groups, ([title, group]) => section(title, groupContent(group))),
    footer: 'Written by ostrata layout simulate.',
  });
}

/** @param runs on the same series and number of layers */
function groupContent(runs: readonly SimulationRun[]): readonly Element[] {
  const byLag = groupedBy(runs, ({ result }) => result.lag);
  const parts = Array.from(byLag, ([lag, group]) => lagContent(lag, group)).flat();
  const [first] = byLag.values();
  const [shown] = first ?? [];
  if (first === undefined || shown === undefined || shown.chain.length === 0) {
    return parts;
  }
  const { strategy } = shown.result;
  return [
    ...parts,
    ...downloadSection(first),
    heading(`What each layer costs with ${strategy}`),
    ...layersFigure(shown),
    heading(`The last build with ${strategy}`),
    element('figure', {}, lastBuildDrawing(shown)),
    note('Each area is a layer by its size, divided among its components.'),
  ];
}

/** @param runs with the same lag */
function lagContent(lag: number, runs: readonly SimulationRun[]): readonly Element[] {
  const which = lag === 1 ? 'Updates from each build to the next' : `Updates by ${lag} builds`;
  return [heading(which), ...resultsTable(runs), ...updatesFigure(runs)];
}

function heading(text: string): Element {
  return element('h3', {}, [text]);
}

function groupedBy<Key>(
  runs: readonly SimulationRun[],
  keyOf: (run: SimulationRun) => Key,
): ReadonlyMap<Key, readonly SimulationRun[]> {
  const groups = new Map<Key, SimulationRun[]>();
  for (const run of runs) {
    const key = keyOf(run);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(run);
  }
  return groups;
}
