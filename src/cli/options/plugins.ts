/** Options of commands that assign files to components or plan layers: plugins, mapping, layout. */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  layoutNames,
  loadContentSources,
  loadLayoutStrategy,
  loadMapping,
} from '../../../plugins/index.js';
import type { DamageOptions } from '../../../plugins/rpm/index.js';
import { inContextAsync, must, OstrataError } from '../../errors.js';
import type { ContentSource, LayoutStrategy, Plugin } from '../../plugin.js';
import { loadPlugin } from './load-plugin.js';
import { integer, repeated } from './values.js';

export interface PluginOptions extends DamageOptions {
  readonly plugin?: readonly string[] | undefined;
  readonly mapping?: string | undefined;
  readonly layout: string;
  /** False for `--no-split`. */
  readonly split?: boolean | undefined;
  /** See `LayoutLimits`. */
  readonly clientCadence?: readonly number[] | undefined;
}

const USUAL_LAYOUT = must(layoutNames[0], 'a layout');
/** The name of the layout for builds that never pass a previous image. */
export const STABLE = 'stable';
export const NO_SPLIT_HELP =
  'place packages as a whole; by default, layouts of many layers split large ones by directory';
/** Clients that skip more builds than this are not worth planning for. */
const MAX_CADENCE = 100;
/** Far more groups of clients than anybody can tell apart. */
const MAX_CADENCES = 100;
export const SKIP_DAMAGED_HELP =
  'plan without the packages that are damaged in the package database, with a warning for each';

/** `--layout`, `--no-split`, `--plugin`, `--mapping` and `--skip-damaged-packages`. */
export function pluginOptions(command: Command): Command {
  return command
    .optionsGroup('Components and layout:')
    .option(
      '--layout <name>',
      `the strategy that puts components into layers: ${layoutNames.join(', ')}`,
      USUAL_LAYOUT,
    )
    .option('--no-split', NO_SPLIT_HELP)
    .addOption(clientCadenceOption())
    .option(
      '--plugin <module>',
      'load more content sources or layouts from this file or package (repeatable)',
      repeated,
    )
    .option(
      '--mapping <file>',
      'JSON that assigns paths to components; it overrides all other content sources',
    )
    .option('--skip-damaged-packages', SKIP_DAMAGED_HELP);
}

/** `--client-cadence`. */
export function clientCadenceOption(): Option {
  const help =
    'the updates that the layout is made for: 1,4 stands for clients of which half take every ' +
    'build and half every fourth; 1,1,4 for two thirds and one third (default: 1)';
  return new Option('--client-cadence <n,...>', help).argParser(clientCadence);
}

function clientCadence(text: string): readonly number[] {
  const cadences = text.split(',');
  if (cadences.length > MAX_CADENCES) {
    throw new InvalidArgumentError(`expected at most ${MAX_CADENCES} numbers.`);
  }
  return cadences.map((each) => integer(1, MAX_CADENCE)(each.trim()));
}

interface LoadedPlugins {
  readonly sources: readonly ContentSource[];
  readonly strategy: LayoutStrategy;
}

/**
 * Loads built-in plugins and those that the options name. A plugin's layout takes precedence over
 * a built-in layout of the same name. Throws `PLUGIN` for a module that exports no plugin, `USAGE`
 * for a layout that nobody provides.
 */
export async function loadPlugins(options: PluginOptions): Promise<LoadedPlugins> {
  const plugins = await loadModules(options.plugin ?? []);
  const strategy = await findLayout(options.layout, plugins, '--layout');
  const sources = await contentSources(plugins, options, options.mapping);
  return { sources, strategy: withOptions(strategy, options) };
}

/**
 * Makes `stable` the default of `--layout`, which comes before: pipelines that were written for
 * another tool may never pass a previous image. With one, it plans as the usual layout does.
 */
export function stableByDefault(command: Command): Command {
  const option = command.options.find(({ long }) => long === '--layout');
  option?.default(STABLE);
  return command.setOptionValueWithSource('layout', STABLE, 'default');
}

/** Returns the strategy as `--no-split` and `--client-cadence` want it. */
export function withOptions(
  strategy: LayoutStrategy,
  { split, clientCadence }: Pick<PluginOptions, 'split' | 'clientCadence'>,
): LayoutStrategy {
  const { name, description, parts } = strategy;
  return {
    name,
    description,
    parts: split === false ? undefined : parts,
    plan: (components, limits) => strategy.plan(components, { ...limits, clientCadence }),
  };
}

/** Returns the content sources that are built in and those of the modules. */
export async function loadSources(
  modules: readonly string[],
  options: DamageOptions,
): Promise<readonly ContentSource[]> {
  return contentSources(await loadModules(modules), options);
}

/** Returns the layouts called `names`, of the modules or built in; see {@link loadPlugins}. */
export async function loadLayouts(
  modules: readonly string[],
  names: readonly string[],
): Promise<readonly LayoutStrategy[]> {
  const plugins = await loadModules(modules);
  return Promise.all(names.map((name) => findLayout(name, plugins, '--strategy')));
}

async function contentSources(
  plugins: readonly Plugin[],
  options: DamageOptions,
  mapping?: string,
): Promise<readonly ContentSource[]> {
  const sources = [...(await loadContentSources(options))];
  for (const plugin of plugins) {
    sources.push(...(plugin.contentSources ?? []));
  }
  return mapping === undefined ? sources : [await readMapping(mapping), ...sources];
}

async function readMapping(path: string): Promise<ContentSource> {
  return inContextAsync(`mapping ${path}`, async () => loadMapping(await readFile(path, 'utf8')));
}

async function findLayout(
  name: string,
  plugins: readonly Plugin[],
  option: string,
): Promise<LayoutStrategy> {
  const strategies = plugins.flatMap(({ layoutStrategies = [] }) => layoutStrategies);
  const strategy =
    strategies.find((each) => each.name === name) ?? (await loadLayoutStrategy(name));
  if (strategy !== undefined) {
    return strategy;
  }
  const known = [...layoutNames, ...strategies.map((each) => each.name)].join(', ');
  throw new OstrataError(
    'USAGE',
    `option ${option}: there is no layout ${JSON.stringify(name)}; known layouts: ${known}`,
  );
}

function loadModules(modules: readonly string[]): Promise<readonly Plugin[]> {
  return Promise.all(modules.map(loadPlugin));
}
