/** Built-in plugins, and those that `--plugin` names. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import {
  layoutNames,
  loadContentSources,
  loadLayoutStrategy,
  loadMapping,
} from '../../../plugins/index.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import {
  type ContentSource,
  definePlugin,
  type LayoutStrategy,
  type Plugin,
} from '../../plugin.js';
import { repeated } from './values.js';

export interface PluginOptions {
  readonly plugin?: readonly string[] | undefined;
  readonly mapping?: string | undefined;
  readonly layout: string;
}

/** `--layout`, `--plugin` and `--mapping`. */
export function pluginOptions(command: Command): Command {
  return command
    .option(
      '--layout <name>',
      `how components are put into layers: ${layoutNames.join(', ')}`,
      layoutNames[0],
    )
    .option(
      '--plugin <module>',
      'load a plugin (file or package) with more content sources or layouts',
      repeated,
    )
    .option(
      '--mapping <file>',
      'JSON that says which component paths belong to, before all other sources',
    );
}

export interface LoadedPlugins {
  readonly sources: readonly ContentSource[];
  readonly strategy: LayoutStrategy;
}

/** Throws `PLUGIN` for a module that is none, `USAGE` for a layout that nobody provides. A plugin's layout wins over a built-in of its name. */
export async function loadPlugins({
  plugin: modules = [],
  mapping,
  layout,
}: PluginOptions): Promise<LoadedPlugins> {
  const plugins = await Promise.all(modules.map(loadPlugin));
  const strategy = await findLayout(layout, plugins, '--layout');
  const sources = [
    await loadContentSources(),
    ...plugins.map(({ contentSources = [] }) => contentSources),
  ].flat();
  return {
    sources: mapping === undefined ? sources : [await readMapping(mapping), ...sources],
    strategy,
  };
}

async function readMapping(path: string): Promise<ContentSource> {
  return inContextAsync(`mapping ${path}`, async () => loadMapping(await readFile(path, 'utf8')));
}

/** The layouts `names` of the modules and of the built-in ones; throws as {@link loadPlugins} does. */
export async function loadLayouts(
  modules: readonly string[],
  names: readonly string[],
): Promise<readonly LayoutStrategy[]> {
  const plugins = await Promise.all(modules.map(loadPlugin));
  return Promise.all(names.map((name) => findLayout(name, plugins, '--strategy')));
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
    `option ${option}: no layout ${JSON.stringify(name)}, known are ${known}`,
  );
}

async function loadPlugin(module: string): Promise<Plugin> {
  const specifier = existsSync(module) ? pathToFileURL(resolve(module)).href : module;
  return inContextAsync(`plugin ${module}`, async () => {
    const loaded = await import(specifier).catch((error: Error) => {
      throw new OstrataError('PLUGIN', `cannot be loaded: ${error.message}`, { cause: error });
    });
    return definePlugin(loaded.default);
  });
}
