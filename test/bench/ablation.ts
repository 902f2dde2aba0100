/**
 * npm run ablation -- SERIES...: what each idea of the default layout is worth. Prints a Markdown
 * table of the bytes of all updates against one layer per component; each row leaves one idea out.
 * A series is a JSONL file as `layout simulate` reads it.
 */
import { basename } from 'node:path';
import { expectedDownload, stable } from '../../plugins/layouts/expected-download.js';
import { readSeries } from '../../src/layout/series.js';
import { simulateChain, simulateUpdates, summarize } from '../../src/layout/simulate.js';
import type { Component, Layout, LayoutLimits, LayoutStrategy } from '../../src/plugin.js';

const MAX_LAYERS = 64;
/** Undoes the calibration: every changelog entry then counts as a change of a biweekly build. */
const RAW = 10;

type Plan = LayoutStrategy['plan'];

const variants: Readonly<Record<string, Plan>> = {
  'as it is': expectedDownload.plan,
  'not sticky: each build planned anew, with history': (components, limits) =>
    expectedDownload.plan(components, { ...limits, prior: [] }),
  'sticky only: what the update dirties is not planned anew': (components, { prior, ...limits }) =>
    expectedDownload.plan(components, {
      ...limits,
      ...(prior && { prior: prior.map((layer) => ({ ...layer, dirty: false })) }),
    }),
  'no history: changelogs only': (components, limits) =>
    expectedDownload.plan(components, { ...limits, history: new Map() }),
  'raw changelogs: no history, each entry taken for a change': (components, limits) =>
    expectedDownload.plan(
      components.map((each) => ({ ...each, changesPerYear: each.changesPerYear * RAW })),
      { ...limits, history: new Map() },
    ),
  'a reserved layer for new components': withReservedLayer,
  'a first layout as by the layout stable': stable.plan,
  'parts taken for independent packages': (components, limits) =>
    expectedDownload.plan(components.map(withoutWhole), limits),
};

/** Leaves out what is known of the component that a part belongs to. */
function withoutWhole({ partOf, ...component }: Component): Component {
  return partOf === undefined ? component : { ...component, source: component.id };
}

/**
 * The last layer takes the components that the previous image lacks. When it changes again, its
 * components are placed among all others.
 */
function withReservedLayer(
  components: readonly Component[],
  { prior, ...limits }: LayoutLimits,
): Layout {
  const maxLayers = limits.maxLayers - 1;
  if (prior === undefined) {
    return {
      layers: [
        ...expectedDownload.plan(components, { ...limits, maxLayers }).layers,
        { components: [] },
      ],
    };
  }
  const known = new Set(prior.flatMap((layer) => layer.components));
  const added = components.map(({ id }) => id).filter((id) => !known.has(id));
  const last = prior.at(-1);
  const reserved = new Set(added.length > 0 || last?.dirty ? added : last?.components);
  const others = components.filter(({ id }) => !reserved.has(id));
  const { layers } = expectedDownload.plan(others, {
    ...limits,
    maxLayers,
    prior: prior.slice(0, -1),
  });
  return { layers: [...layers, { components: [...reserved] }] };
}

const paths = process.argv.slice(2);
const row = (cells: readonly string[]) => console.log(`| ${cells.join(' | ')} |`);
row([
  `${MAX_LAYERS} layers, every update`,
  ...paths.map((path) => basename(path).replace(/\.jsonl(\.gz)?$/, '')),
]);
console.log(`| --- |${' ---: |'.repeat(paths.length)}`);
const series = await Promise.all(paths.map(readSeries));
const strategies = Object.entries(variants).map(
  ([name, plan]): LayoutStrategy => ({ ...expectedDownload, name, plan }),
);
strategies.push({ ...expectedDownload, name: 'no parts', parts: undefined });
for (const strategy of strategies) {
  const ratios = series.map((builds) => {
    const chain = simulateChain(builds, strategy, { maxLayers: MAX_LAYERS });
    return summarize(simulateUpdates(chain, [], 1)).ratio.toFixed(3);
  });
  row([strategy.name, ...ratios]);
}
