/** `ostrata layout simulate`: what the updates of a series of builds cost with a layout. */
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { layoutNames } from '../../../plugins/index.js';
import type { DamageOptions } from '../../../plugins/rpm/index.js';
import { OstrataError } from '../../errors.js';
import { DEFAULT_MAX_LAYERS, MIN_LAYERS } from '../../layout/max-layers.js';
import { isDate } from '../../layout/series.js';
import type { Logger } from '../../log.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { MAX_LAYER_SIZE_HELP, MAX_LAYERS_HELP } from '../options/layers.js';
import {
  clientCadenceOption,
  loadLayouts,
  loadSources,
  NO_SPLIT_HELP,
  SKIP_DAMAGED_HELP,
} from '../options/plugins.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { integer, logOptions, repeated } from '../options/values.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import {
  type Experiment,
  type ExperimentOptions,
  runsOf,
  runUnits,
  unitsOf,
} from './experiment.js';
import { type ReportOptions, reportOptions, reportRuns } from './results.js';
import { openSeries, SERIES_HELP, type Series } from './series.js';
import { formatShard, isOfShard, type ShardNumber, shardNumber } from './shard.js';

/** Far more than any container runtime takes. */
const MAX_LAYERS = 10_000;
const DAY_MS = 86_400_000;

interface SimulateOptions
  extends ExperimentOptions,
    ReportOptions,
    LogOptions,
    RegistryOptions,
    DamageOptions {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly jobs: number;
  readonly shard?: ShardNumber | undefined;
}

const EXAMPLES = `
Examples:
  ostrata layout simulate history.jsonl.gz --strategy=expected-download,rpm-ostree --lag=1,4
  ostrata layout simulate rpmdbs/ --max-layers=32,64,128 --html=report.html
  ostrata layout simulate history.jsonl.gz --max-layers=64,96 --shard=1/2 > shard-1.json
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
        'manifests, configs and package databases of images are read if that is enough. Several ' +
        'layouts are compared update by update with the one that costs least.',
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
    .addOption(
      new Option('--jobs <n>', 'layouts that are simulated at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option(
      '--shard <i/n>',
      'simulate only part i of n of the layouts, counted from 1, and print the results as JSON; ' +
        '`layout report` puts the parts together',
      shardNumber,
    )
    .addHelpText('after', EXAMPLES)
    .action(simulate);
  useOptions(command, [reportOptions, registryOptions, logOptions]);
}

async function simulate(args: readonly string[], options: SimulateOptions): Promise<void> {
  const { shard, html, jobs } = options;
  if (shard !== undefined && html !== undefined) {
    throw new OstrataError('USAGE', 'option --shard: `layout report --html` draws all shards');
  }
  const log = terminalLogger(options);
  const experiment = await openExperiment(args, options, log);
  const units = unitsOf(experiment);
  const own = shard === undefined ? units : units.filter((_, i) => isOfShard(i, shard));
  const outcomes = await runUnits(experiment, own, { jobs, log, signal: interruptSignal });

  if (shard !== undefined) {
    print(formatShard(experiment, shard, outcomes));
  } else {
    await reportRuns(experiment.series, runsOf(experiment, outcomes), options);
  }
}

async function openExperiment(
  args: readonly string[],
  options: SimulateOptions,
  log: Logger,
): Promise<Experiment> {
  const { plugin: modules = [], skipDamagedPackages } = options;
  // Before anything is read: a name may be mistyped.
  await loadLayouts(modules, options.strategy);
  const sources = await loadSources(modules, { skipDamagedPackages });
  const open = imageOpener(options, args.filter(isImgref), log);
  const opened = await openSeries(args, { sources, log, open, skipDamagedPackages });
  const series = opened.map((each) => buildsBetween(each, options));
  return { series, options: experimentOptions(options) };
}

/** Returns the options alone that have to do with an experiment. */
function experimentOptions(options: ExperimentOptions): ExperimentOptions {
  return {
    strategy: options.strategy,
    maxLayers: options.maxLayers,
    lag: options.lag,
    maxLayerSize: options.maxLayerSize,
    split: options.split,
    clientCadence: options.clientCadence,
    plugin: options.plugin,
  };
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

/** Parses values that commas separate; each counts once. */
function list<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => {
    const distinct = new Set(text.split(','));
    const values: T[] = [];
    for (const each of distinct) {
      const value = parse(each.trim());
      values.push(value);
    }
    return values;
  };
}

function date(text: string): string {
  if (!isDate(text)) {
    throw new InvalidArgumentError('expected a date such as 2023-10-31.');
  }
  return text;
}
