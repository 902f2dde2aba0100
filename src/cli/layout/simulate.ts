import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { layoutNames } from '../../../plugins/index.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { DEFAULT_MAX_LAYERS, layersForComponents, MIN_LAYERS } from '../../layout/max-layers.js';
import { isDate } from '../../layout/series.js';
import {
  type SimulationResult,
  type SimulationRun,
  simulateChain,
  simulateUpdates,
  summarize,
} from '../../layout/simulate.js';
import type { LayoutStrategy } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { MAX_LAYERS_HELP } from '../options/layers.js';
import { loadLayouts, loadPlugins } from '../options/plugins.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { integer, logOptions, repeated } from '../options/values.js';
import { formatBytes, formatTable } from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { htmlReport } from './html/report.js';
import { openSeries, type Series, seriesHelp } from './series.js';

/** Far above what any runtime takes. */
const MAX_LAYERS = 10_000;

interface SimulateOptions extends LogOptions, RegistryOptions {
  readonly strategy: readonly string[];
  readonly maxLayers: readonly number[];
  readonly maxLayerSize?: number | undefined;
  readonly lag: readonly number[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly plugin?: readonly string[] | undefined;
  readonly json?: boolean | undefined;
  readonly html?: string | undefined;
}

export function addLayoutSimulateCommand(layout: Command): void {
  const command = layout
    .command('simulate')
    .summary('what updates would have cost with a layout, over a series of builds')
    .description(
      'Plan each build of a series on what the image of the build before it records, and count the bytes of layers that ' +
        'clients would have fetched; 1.000 is one layer per component, which no layout can do better than.',
    )
    .argument('<series...>', seriesHelp)
    .option('--strategy <names>', `layouts to compare: ${layoutNames.join(', ')}`, list(String), [
      layoutNames[0] as string,
    ])
    .option('--max-layers <n,...>', MAX_LAYERS_HELP, list(integer(MIN_LAYERS, MAX_LAYERS)), [
      DEFAULT_MAX_LAYERS,
    ])
    .option('--max-layer-size <bytes>', 'bytes that a layer should not exceed', integer(1))
    .option(
      '--lag <n,...>',
      'count updates from every build to the one n builds later',
      list(integer(1)),
      [1],
    )
    .option('--from <date>', 'leave out builds before this date', date)
    .option('--to <date>', 'leave out builds after this date', date)
    .option('--plugin <module>', 'load a plugin with more layouts (repeatable)', repeated)
    .option('--json', 'print the results as JSON')
    .option('--html <file>', 'write charts to a self-contained HTML file')
    .addHelpText(
      'after',
      `
Examples:
  ostrata layout simulate history.jsonl.gz --strategy expected-download,rpm-ostree --max-layers 32,64,128 --lag 1,4
  ostrata layout simulate rpmdbs/ --html report.html
  ostrata layout simulate oci:os:1 oci:os:2 oci:os:3`,
    )
    .action(simulate);
  useOptions(command, [registryOptions, logOptions]);
}

async function simulate(args: readonly string[], options: SimulateOptions): Promise<void> {
  const log = terminalLogger(options);
  const modules = options.plugin ?? [];
  const strategies = await loadLayouts(modules, options.strategy);
  const { sources } = await loadPlugins({ plugin: modules, layout: layoutNames[0] as string });
  const series = (
    await openSeries(args, { sources, log, open: imageOpener(options, args.filter(isImgref), log) })
  ).map((each) => within(each, options));
  const runs: SimulationRun[] = [];
  for (const each of series) {
    for (const strategy of strategies) {
      for (const maxLayers of options.maxLayers) {
        interruptSignal.throwIfAborted();
        runs.push(...runsOf(each, strategy, maxLayers, options));
        log.progress(
          'simulating',
          runs.length,
          series.length * strategies.length * options.maxLayers.length,
        );
        // Between plans, which are synchronous, Ctrl-C is heard.
        await new Promise(setImmediate);
      }
    }
  }
  const { html } = options;
  if (html !== undefined) {
    await inContextAsync(`writing ${html}`, () => writeFile(html, htmlReport(runs)));
  }
  const results = runs.map(({ result }) => result);
  console.log(options.json ? JSON.stringify({ results }) : table(results));
}

/** Of an undated series nothing is left out. */
function within({ name, builds }: Series, { from, to }: SimulateOptions): Series {
  if (from === undefined && to === undefined) {
    return { name, builds };
  }
  const left = builds.filter((build) => {
    if (build.date === undefined) {
      throw new OstrataError(
        'USAGE',
        `series ${name}: build ${build.build} has no date, --from and --to need one`,
      );
    }
    const time = Date.parse(build.date);
    return (
      (from === undefined || time >= Date.parse(from)) && (to === undefined || time <= endOf(to))
    );
  });
  return { name, builds: left };
}

const DAY_MS = 86_400_000;
/** A date without a time means the whole day. */
const endOf = (text: string): number =>
  Date.parse(text) + (/^\d{4}-\d{2}-\d{2}$/.test(text) ? DAY_MS - 1 : 0);

function runsOf(
  { name, builds }: Series,
  strategy: LayoutStrategy,
  maxLayers: number,
  { maxLayerSize, lag: lags }: SimulateOptions,
): SimulationRun[] {
  const chain = simulateChain(builds, strategy, {
    maxLayers: layersForComponents(maxLayers),
    maxLayerSize,
  });
  return lags.map((lag) => {
    const updates = simulateUpdates(chain, lag);
    const result = { series: name, strategy: strategy.name, maxLayers, lag, ...summarize(updates) };
    return { result, chain, updates };
  });
}

function table(results: readonly SimulationResult[]): string {
  return formatTable(
    [
      { title: 'SERIES', align: 'left' },
      { title: 'STRATEGY', align: 'left' },
      { title: 'LAYERS', align: 'right' },
      { title: 'LAG', align: 'right' },
      { title: 'UPDATES', align: 'right' },
      { title: 'RATIO', align: 'right' },
      { title: 'MEAN', align: 'right' },
      { title: 'MEDIAN', align: 'right' },
      { title: 'P90', align: 'right' },
      { title: 'TOTAL', align: 'right' },
    ],
    results.map(
      ({ series, strategy, maxLayers, lag, updates, ratio, mean, median, p90, bytes }) => [
        series,
        strategy,
        String(maxLayers),
        String(lag),
        String(updates),
        ratio.toFixed(3),
        ...[mean, median, p90, bytes].map((each) => formatBytes(Math.round(each))),
      ],
    ),
  );
}

function list<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => [...new Set(text.split(','))].map((each) => parse(each.trim()));
}

function date(text: string): string {
  if (!isDate(text)) {
    throw new InvalidArgumentError('expected a date, as in 2023-10-31.');
  }
  return text;
}
