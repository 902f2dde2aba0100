/** Built-in plugins, and those that `--plugin` names. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { layoutNames, loadContentSources, loadLayoutStrategy } from '../../plugins/index.js';
import { inContextAsync, OstrataError } from '../errors.js';
import { type ContentSource, definePlugin, type LayoutStrategy, type Plugin } from '../plugin.js';
import { repeated } from './options.js';

export interface PluginOptions {
  readonly plugin?: readonly string[];
  readonly layout: string;
}

/** `--layout` and `--plugin`. */
export function addPluginOptions(command: Command): Command {
  return command
    .option('--layout <name>', `how components are put into layers: ${layoutNames.join(', ')}`, layoutNames[0])
    .option('--plugin <module>', 'load a plugin (file or package) with more content sources or layouts', repeated);
}

export interface LoadedPlugins {
  readonly sources: readonly ContentSource[];
  readonly strategy: LayoutStrategy;
}

/** Throws `PLUGIN` for a module that is none, `USAGE` for a layout that nobody provides. A plugin's layout wins over a built-in of its name. */
export async function loadPlugins({ plugin: modules = [], layout }: PluginOptions): Promise<LoadedPlugins> {
  const plugins = await Promise.all(modules.map(loadPlugin));
  const strategies = plugins.flatMap(({ layoutStrategies = [] }) => layoutStrategies);
  const strategy = strategies.find(({ name }) => name === layout) ?? (await loadLayoutStrategy(layout));
  if (strategy === undefined) {
    const known = [...layoutNames, ...strategies.map(({ name }) => name)].join(', ');
    throw new OstrataError('USAGE', `option --layout: no layout ${JSON.stringify(layout)}, known are ${known}`);
  }
  const builtIn = await loadContentSources();
  return { sources: [...builtIn, ...plugins.flatMap(({ contentSources = [] }) => contentSources)], strategy };
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
