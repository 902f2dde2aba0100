/** What `layout plan` and `layout explain` plan a layout from: a tree, or a list of components. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { previousFromImage } from '../../builder/previous.js';
import type { LayoutComponent } from '../../components/component.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { layersForComponents } from '../../layout/max-layers.js';
import { type LayoutPlan, planLayout } from '../../layout/plan.js';
import { parsePlan, strategyFromPlan } from '../../layout/plan-file.js';
import type { SeriesBuild } from '../../layout/simulate.js';
import type { Logger } from '../../log.js';
import { openRepo } from '../../ostree/repo.js';
import type { LayoutStrategy } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { openLargeCommitTree } from '../../tree/commit.js';
import { openDirectoryTree } from '../../tree/directory-tree.js';
import type { LayerLimits } from '../options/layers.js';
import { loadPlugins, type PluginOptions } from '../options/plugins.js';
import { imageOpener, type RegistryOptions } from '../options/registry.js';
import type { LogOptions } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import {
  buildOfImage,
  buildOfImageReader,
  buildOfPath,
  buildOfTree,
  type ImageContext,
} from './series.js';

export interface LayoutSourceOptions
  extends LogOptions,
    PluginOptions,
    RegistryOptions,
    LayerLimits {
  readonly repo?: string | undefined;
  readonly root?: string | undefined;
  readonly previousBuild?: string | undefined;
  readonly plan?: string | undefined;
}

export const SOURCE_HELP =
  'an image reference, an RPM database, or a file that --write-components wrote; ' +
  'with --repo, a ref or commit; with --root, nothing';

/** `--repo`, `--root`, `--previous-build` and `--plan`. */
export function layoutSourceOptions(command: Command): Command {
  return command
    .option('--repo <path>', 'the source is a ref or commit of this ostree repository')
    .option('--root <dir>', 'the source is the tree in this folder')
    .option(
      '--previous-build <imgref>',
      'follow the layout of this image: components stay in their layers where that is cheaper',
    )
    .option('--plan <file>', 'follow this plan file, as `layout plan --write` made it');
}

/** The components of a source, and the layout that they or their parts have or get. */
export interface SourceLayout {
  readonly build: SeriesBuild;
  readonly layout: LayoutPlan<LayoutComponent>;
}

/** Plans a layout for `source` as the options say. */
export async function planSource(
  source: string | undefined,
  options: LayoutSourceOptions,
  log: Logger,
): Promise<SourceLayout> {
  const plugins = await loadPlugins(options);
  const { previousBuild, skipDamagedPackages } = options;
  const imgrefs = [source, previousBuild].filter((each) => each !== undefined).filter(isImgref);
  const open = imageOpener(options, imgrefs, log);
  const context = { sources: plugins.sources, log, open, skipDamagedPackages };
  const build = await openBuild(source, options, context);

  const previous = previousBuild && (await previousFromImage(await open(previousBuild), log));
  const strategy =
    options.plan === undefined ? plugins.strategy : await strategyOfPlan(options.plan, log);
  const layout = planLayout(build.components, strategy, {
    maxLayers: layersForComponents(options.maxLayers),
    maxLayerSize: options.maxLayerSize,
    previous: previous ? previous.recordFor(build.components) : undefined,
    log,
  });
  return { build, layout };
}

/**
 * Returns the layout that an image has. For any other source, or with options that ask for another
 * layout, returns what {@link planSource} plans.
 */
export async function layoutOfSource(
  source: string | undefined,
  options: LayoutSourceOptions,
  log: Logger,
): Promise<SourceLayout> {
  const { repo, root, plan, previousBuild } = options;
  const asksForPlan = [repo, root, plan, previousBuild].some((each) => each !== undefined);
  return source === undefined || !isImgref(source) || asksForPlan
    ? planSource(source, options, log)
    : layoutOfImage(source, options, log);
}

async function layoutOfImage(
  imgref: string,
  options: LayoutSourceOptions,
  log: Logger,
): Promise<SourceLayout> {
  const { sources } = await loadPlugins(options);
  const image = await imageOpener(options, [imgref], log)(imgref);
  try {
    const build = await buildOfImageReader(image, { sources, log });
    const previous = await previousFromImage(image, log);
    const record = previous.recordFor(build.components);
    const layout = planLayout(build.components, strategyFromPlan(record.layers, log), {
      // Components that the record does not know share one layer more.
      maxLayers: record.layers.length + 1,
      log,
    });
    return { build, layout: { ...layout, history: record.history ?? layout.history } };
  } finally {
    await image.close?.();
  }
}

/** Returns the strategy that follows the plan in a file. */
export async function strategyOfPlan(path: string, log: Logger): Promise<LayoutStrategy> {
  return inContextAsync(`plan ${path}`, async () =>
    strategyFromPlan(parsePlan(await readFile(path, 'utf8')), log),
  );
}

async function openBuild(
  source: string | undefined,
  { repo, root }: LayoutSourceOptions,
  context: ImageContext,
): Promise<SeriesBuild> {
  if (root !== undefined) {
    if (source !== undefined || repo !== undefined) {
      throw new OstrataError('USAGE', 'option --root: it excludes any other source');
    }
    const tree = await openDirectoryTree(root, {
      log: context.log,
      signal: interruptSignal,
      jobs: availableParallelism(),
      skipSpecialFiles: true,
    });
    return buildOfTree(tree, root, context);
  }
  if (source === undefined) {
    throw new OstrataError('USAGE', `expected a source: ${SOURCE_HELP}`);
  }
  if (repo !== undefined) {
    const opened = openRepo(repo);
    const tree = await openLargeCommitTree(opened, opened.resolve(source), context.log);
    return buildOfTree(tree, source, context);
  }
  return isImgref(source)
    ? buildOfImage(source, context)
    : buildOfPath(source, basename(source), context);
}
