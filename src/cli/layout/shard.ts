/**
 * Shards of an experiment: what each of several machines has simulated, as JSON. A shard holds the
 * whole experiment, so that `layout report` needs nothing else, and finds out what is missing.
 */
import { isDeepStrictEqual } from 'node:util';
import { InvalidArgumentError } from 'commander';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { must, OstrataError } from '../../errors.js';
import { type Outcome, outcomeSchema } from '../../layout/outcome.js';
import { buildOfPlain, plainBuild, plainBuildSchema } from '../../layout/series.js';
import { type Experiment, type ExperimentOptions, unitsOf } from './experiment.js';

/** Which share of the work is meant: `index` of `count`, from 1. */
export interface ShardNumber {
  readonly index: number;
  readonly count: number;
}

const VERSION = 1;
const MAX_SHARDS = 10_000;
const FORM = /^(\d{1,5})\/(\d{1,5})$/;

const OPTION_NAMES: ReadonlyMap<keyof ExperimentOptions, string> = new Map([
  ['strategy', '--strategy'],
  ['maxLayers', '--max-layers'],
  ['lag', '--lag'],
  ['maxLayerSize', '--max-layer-size'],
  ['split', '--no-split'],
  ['clientCadence', '--client-cadence'],
  ['plugin', '--plugin'],
]);

const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const seriesSchema = v.object({
  name: v.string(),
  builds: v.array(plainBuildSchema),
});
const optionsSchema = v.object({
  strategy: v.array(v.string()),
  maxLayers: v.array(countSchema),
  lag: v.array(countSchema),
  maxLayerSize: v.optional(countSchema),
  split: v.optional(v.boolean()),
  clientCadence: v.optional(v.array(countSchema)),
  plugin: v.optional(v.array(v.string())),
});
const numberSchema = v.object({
  index: countSchema,
  count: v.pipe(countSchema, v.maxValue(MAX_SHARDS)),
});
const shardSchema = v.object({
  simulation: v.literal(VERSION),
  shard: numberSchema,
  options: optionsSchema,
  series: v.array(seriesSchema),
  outcomes: v.array(outcomeSchema),
});
type Shard = v.InferOutput<typeof shardSchema>;

/** A shard, and the file that it is in. */
export interface ShardFile {
  readonly path: string;
  readonly shard: Shard;
}

/** Parses `2/3`. */
export function shardNumber(text: string): ShardNumber {
  const numbers = FORM.exec(text)?.map(Number) ?? [];
  const [, index = 0, count = Infinity] = numbers;
  if (count > MAX_SHARDS) {
    const rule = `N of at most ${MAX_SHARDS}`;
    throw new InvalidArgumentError(`expected I/N, such as 1/3, with ${rule}.`);
  }
  if (index < 1 || index > count) {
    throw new InvalidArgumentError(
      `expected I/N with I from 1 to N: the last one is ${count}/${count}.`,
    );
  }
  return { index, count };
}

/** Whether the unit with this index, from 0, belongs to a shard. */
export function isOfShard(unit: number, { index, count }: ShardNumber): boolean {
  return unit % count === index - 1;
}

export function formatShard(
  { series, options }: Experiment,
  shard: ShardNumber,
  outcomes: readonly Outcome[],
): string {
  const plainSeries = series.map(({ name, builds }) => {
    const plain = builds.map((build) => plainBuild(build));
    return { name, builds: plain };
  });
  const document = {
    simulation: VERSION,
    shard,
    options,
    series: plainSeries,
    outcomes,
  };
  return JSON.stringify(document);
}

/** Parses what {@link formatShard} returned. */
export function parseShard(text: string): Shard {
  const shard = parseJson(text, shardSchema);
  const { index, count } = shard.shard;
  const units = unitsOf(experimentOf(shard));
  const own = units.filter((_, i) => isOfShard(i, shard.shard));
  if (index > count || shard.outcomes.length !== own.length) {
    throw new OstrataError('CORRUPT', `it lacks results of the share ${index}/${count}`);
  }
  for (const [i, unit] of own.entries()) {
    const { layers, builds, updates } = must(shard.outcomes[i], `outcome ${i}`);
    const expected = shard.series[unit.series]?.builds.length;
    const isWhole = builds.length === expected;
    const hasLags = updates.length === shard.options.lag.length;
    const isKnown = (layer: number) => layer < layers.length;
    if (!isWhole || !hasLags || !builds.flat().every(isKnown)) {
      throw new OstrataError('CORRUPT', `outcomes.${i}: it belongs to another series`);
    }
  }
  return shard;
}

function experimentOf({ series, options }: Shard): Experiment {
  const opened = series.map(({ name, builds: plain }) => {
    const builds = plain.map(buildOfPlain);
    return { name, builds };
  });
  return { series: opened, options };
}

/**
 * Puts the shards of an experiment together. Throws `USAGE` if one is missing or given twice, or if
 * they are of several experiments.
 */
export function mergeShards(files: readonly ShardFile[]): {
  readonly experiment: Experiment;
  readonly outcomes: readonly Outcome[];
} {
  const first = must(files[0], 'a shard');
  for (const file of files) {
    checkSameExperiment(first, file);
  }
  const { count } = first.shard.shard;
  const shards = shardsByIndex(files);
  const missing: string[] = [];
  for (let index = 1; index <= count; index++) {
    if (!shards.has(index)) {
      missing.push(`${index}/${count}`);
    }
  }
  if (missing.length > 0) {
    const names = missing.join(', ');
    throw new OstrataError('USAGE', `shards are missing: ${names}`);
  }

  const experiment = experimentOf(first.shard);
  const outcomes = unitsOf(experiment).map((_, i) => {
    const file = must(shards.get((i % count) + 1), `shard of unit ${i}`);
    const place = Math.floor(i / count);
    return must(file.shard.outcomes[place], `outcome ${i}`);
  });
  return { experiment, outcomes };
}

function shardsByIndex(files: readonly ShardFile[]): ReadonlyMap<number, ShardFile> {
  const shards = new Map<number, ShardFile>();
  for (const file of files) {
    const { index, count } = file.shard.shard;
    const other = shards.get(index);
    if (other !== undefined) {
      const where = `in ${other.path} and in ${file.path}`;
      const name = `shard ${index}/${count}`;
      throw new OstrataError('USAGE', `${name} is given twice: ${where}`);
    }
    shards.set(index, file);
  }
  return shards;
}

function checkSameExperiment(first: ShardFile, file: ShardFile): void {
  const difference = differenceBetween(first.shard, file.shard);
  if (difference !== undefined) {
    const where = `${file.path} belongs to another experiment than ${first.path}`;
    throw new OstrataError('USAGE', `${where}: ${difference}`);
  }
}

function differenceBetween(first: Shard, other: Shard): string | undefined {
  if (first.shard.count !== other.shard.count) {
    return `one of ${other.shard.count} shards, not of ${first.shard.count}`;
  }
  for (const [key, name] of OPTION_NAMES) {
    if (!isDeepStrictEqual(first.options[key], other.options[key])) {
      return `another value of the option ${name}`;
    }
  }
  return isDeepStrictEqual(first.series, other.series) ? undefined : 'other builds';
}
