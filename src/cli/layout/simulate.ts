/** `ostrata layout simulate`: what the updates of a series of builds cost with a layout. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { layoutNames } from '../../../plugins/index.js';
import type { DamageOptions } from '../../../plugins/rpm/index.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { DEFAULT_MAX_LAYERS, layersForComponents, MIN_LAYERS } from '../../layout/max-layers.js';
import { isDate } from '../../layout/series.js';
import {
  hasPartBound,
  partsOfBuilds,
  type SimulationResult,
  type SimulationRun,
  simulateChain,
  simulateUpdates,
  summarize,
} from '../../layout/simulate.js';
import type { Logger } from '../../log.js';
import type { LayoutStrategy } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { MAX_LAYER_SIZE_HELP, MAX_LAYERS_HELP } from '../options/layers.js';
import {
  clientCadenceOption,
  loadLayouts,
  loadSources,
  NO_SPLIT_HELP,
  SKIP_DAMAGED_HELP,
  withOptions,
} from '../options/plugins.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { integer, logOptions, repeated } from '../options/values.js';
import { formatBytes, formatTable, left, right } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { htmlReport } from './html/report.js';
import { updateCosts, updateTable } from './published.js';
import { openSeries, SERIES_HELP, type Series } from './series.js';

/** Far more than any container runtime takes. */
const MAX_LAYERS = 10_000;
const DAY_MS = 86_400_000;

interface SimulateOptions extends LogOptions, RegistryOptions, DamageOptions {
  readonly strategy: readonly string[];
  readonly maxLayers: readonly number[];
  readonly maxLayerSize?: number | undefined;
  readonly lag: readonly number[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly plugin?: readonly string[] | undefined;
  readonly split: boolean;
  readonly clientCadence?: readonly number[] | undefined;
  readonly json?: boolean | undefined;
  readonly html?: string | undefined;
}

const EXAMPLES = `
Examples:
  ostrata layout simulate history.jsonl.gz --strategy=expected-download,rpm-ostree --lag=1,4
  ostrata layout simulate rpmdbs/ --max-layers=32,64,128 --html=report.html
  ostrata layout simulate oci:os:1 oci:os:2 oci:os:3`;

export function addLayoutSimulateCommand(layout: Command): void {
  const command = layout
    .command('simulate')
    .summary('compare what updates would have cost with different layouts')
    .description(
      'Apply layouts to a series of builds, without building images. Each build is planned ' +
        'as container-encapsulate would plan it on top of the previous one, and the bytes of ' +
        'layers that clients would have downloaded are added up. A ratio of 1.000 is what one ' +
        'layer for each component would cost: only a layout that splits components can do ' +
        'better. If something is known about their directories, PARTS compares with one layer ' +
        'for each part. For images, a second table shows what each update really cost. Only ' +
        'manifests, configs and package databases of images are read if that is enough.',
    )
    .argument('<series...>', SERIES_HELP)
    .addOption(
      new Option('--strategy <name,...>', `layouts to compare: ${layoutNames.join(', ')}`)
        .argParser(list(String))
        .default(layoutNames.slice(0, 1), layoutNames[0]),
    )
    .addOption(
      new Option('--max-layers <n,...>', MAX_LAYERS_HELP)
        .argParser(list(integer(MIN_LAYERS, MAX_LAYERS)))
        .default([DEFAULT_MAX_LAYERS], String(DEFAULT_MAX_LAYERS)),
    )
    .option('--max-layer-size <bytes>', MAX_LAYER_SIZE_HELP, integer(1))
    .addOption(
      new Option('--lag <n,...>', 'count updates from each build to the one n builds later')
        .argParser(list(integer(1)))
        .default([1], '1'),
    )
    .option('--from <date>', 'leave out builds before this date', date)
    .option('--to <date>', 'leave out builds after this date', date)
    .option('--no-split', NO_SPLIT_HELP)
    .addOption(clientCadenceOption())
    .option('--plugin <module>', 'load more layouts from this file or package', repeated)
    .option('--skip-damaged-packages', SKIP_DAMAGED_HELP)
    .option('--json', 'print the results as JSON')
    .option('--html <file>', 'write charts to a self-contained HTML file')
    .addHelpText('after', EXAMPLES)
    .action(simulate);
  useOptions(command, [registryOptions, logOptions]);
}

async function simulate(args: readonly string[], options: SimulateOptions): Promise<void> {
  const log = terminalLogger(options);
  const { plugin: modules = [], skipDamagedPackages } = options;
  const loaded = await loadLayouts(modules, options.strategy);
  const strategies = loaded.map((each) => withOptions(each, options));
  const sources = await loadSources(modules, { skipDamagedPackages });
  const open = imageOpener(options, args.filter(isImgref), log);
  const opened = await openSeries(args, { sources, log, open, skipDamagedPackages });
  const series = opened.map((each) => buildsBetween(each, options));

  const runs = await runAll(series, strategies, options, log);

  const { html } = options;
  if (html !== undefined) {
    await inContextAsync(`writing ${html}`, () => writeFile(html, htmlReport(runs)));
  }
  const results = runs.map(({ result }) => result);
  const costs = updateCosts(series, runs);
  if (options.json) {
    print(JSON.stringify({ results, updates: costs }));
    return;
  }
  print(tableReport(results));
  if (costs.length > 0) {
    print('');
    print(updateTable(costs));
  }
}

/** Leaves out what `--from` and `--to` exclude; `USAGE` for a build without a date. */
function buildsBetween({ name, builds }: Series, { from, to }: SimulateOptions): Series {
  if (from === undefined && to === undefined) {
    return { name, builds };
  }
  const first = from === undefined ? -Infinity : Date.parse(from);
  const last = to === undefined ? Infinity : endOf(to);
  const selected = builds.filter(({ build, date: built }) => {
    if (built === undefined) {
      throw new OstrataError(
        'USAGE',
        `series ${name}: build ${build} has no date, which --from and --to need`,
      );
    }
    const time = Date.parse(built);
    return time >= first && time <= last;
  });
  return { name, builds: selected };
}

/** A date without a time means the whole day. */
function endOf(text: string): number {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  return Date.parse(text) + (isDay ? DAY_MS - 1 : 0);
}

async function runAll(
  series: readonly Series[],
  strategies: readonly LayoutStrategy[],
  options: SimulateOptions,
  log: Logger,
): Promise<readonly SimulationRun[]> {
  const runs: SimulationRun[] = [];
  for (const each of series) {
    const parts = partsOfBuilds(each.builds);
    for (const strategy of strategies) {
      for (const maxLayers of options.maxLayers) {
        interruptSignal.throwIfAborted();
        runs.push(...runsOf({ ...each, parts }, strategy, maxLayers, options));
        log.info(`simulated ${each.name}: ${strategy.name}, ${maxLayers} layers`);
        // Planning is synchronous: Ctrl-C is noticed between two plans only.
        await new Promise(setImmediate);
      }
    }
  }
  return runs;
}

/** A series, and the components of its builds with large ones split. */
interface DividedSeries extends Series {
  readonly parts: ReturnType<typeof partsOfBuilds>;
}

/** Returns one run for each lag. */
function runsOf(
  { name, builds, parts }: DividedSeries,
  strategy: LayoutStrategy,
  maxLayers: number,
  options: SimulateOptions,
): readonly SimulationRun[] {
  const chain = simulateChain(builds, strategy, {
    maxLayers: layersForComponents(maxLayers),
    maxLayerSize: options.maxLayerSize,
  });
  return options.lag.map((lag) => {
    const updates = simulateUpdates(chain, parts, lag);
    const summary = summarize(updates);
    const result = { series: name, strategy: strategy.name, maxLayers, lag, ...summary };
    return { result, chain, updates };
  });
}

function tableReport(results: readonly SimulationResult[]): string {
  const hasParts = results.some(hasPartBound);
  const ratios = hasParts ? ['RATIO', 'PARTS'] : ['RATIO'];
  const titles = ['LAYERS', 'LAG', 'UPDATES', ...ratios, 'MEAN', 'MEDIAN', 'P90', 'TOTAL'];
  const rows = results.map((result) => {
    const { mean, median, p90, bytes } = result;
    const sizes = [mean, median, p90, bytes].map((each) => formatBytes(Math.round(each)));
    return [
      result.series,
      result.strategy,
      String(result.maxLayers),
      String(result.lag),
      String(result.updates),
      result.ratio.toFixed(3),
      ...(hasParts ? [result.partRatio.toFixed(3)] : []),
      ...sizes,
    ];
  });
  return formatTable([left('SERIES'), left('STRATEGY'), ...titles.map(right)], rows);
}

/** Parses values that commas separate; each counts once. */
function list<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => [...new Set(text.split(','))].map((each) => parse(each.trim()));
}

function date(text: string): string {
  if (!isDate(text)) {
    throw new InvalidArgumentError('expected a date such as 2023-10-31.');
  }
  return text;
}
