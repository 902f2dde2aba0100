import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { previousFromImage } from '../../builder/previous.js';
import type { LayoutComponent } from '../../components/component.js';
import { layerChangesPerYear } from '../../components/rates.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import { layersForComponents } from '../../layout/max-layers.js';
import { type LayoutPlan, planLayout } from '../../layout/plan.js';
import { formatPlan, parsePlan, strategyFromPlan } from '../../layout/plan-file.js';
import { formatBuild } from '../../layout/series.js';
import type { SeriesBuild } from '../../layout/simulate.js';
import type { Logger } from '../../log.js';
import { openRepo } from '../../ostree/repo.js';
import type { LayoutStrategy } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { openLargeCommitTree } from '../../tree/commit.js';
import { openDirectoryTree } from '../../tree/directory.js';
import { useOptions } from '../options/groups.js';
import { type LayerLimits, layerLimitOptions } from '../options/layers.js';
import { loadPlugins, type PluginOptions, pluginOptions } from '../options/plugins.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted, formatBytes, formatRate, formatTable, someNames } from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import {
  buildOfImage,
  buildOfImageReader,
  buildOfPath,
  buildOfTree,
  type ImageContext,
} from './series.js';

/** Characters of component names in a row. */
const NAMES_WIDTH = 72;

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

interface LayoutPlanOptions extends LayoutSourceOptions {
  readonly write?: string | undefined;
  readonly writeComponents?: string | undefined;
  readonly json?: boolean | undefined;
}

export const SOURCE_HELP =
  'an image reference, an rpmdb, a component JSON file, a ref (with --repo) or nothing (with --root)';

/** What a layout is planned from and with. */
export function layoutSourceOptions(command: Command): Command {
  return command
    .option('--repo <path>', 'the source is a ref or commit of this ostree repository')
    .option('--root <dir>', 'the source is this root folder')
    .option('--previous-build <imgref>', 'keep to the layout of this image')
    .option('--plan <file>', 'follow this plan file');
}

export function addLayoutPlanCommand(layout: Command): void {
  const command = layout
    .command('plan')
    .summary('plan the layers of a tree, and write the plan to a file')
    .description(
      'Plan the layers of a tree without building an image. A plan file can be committed, reviewed, and followed with ' +
        '`container-encapsulate --plan`.',
    )
    .argument('[source]', SOURCE_HELP)
    .option('--write <file>', 'write the plan to this file')
    .option(
      '--write-components <file>',
      'write the components as JSON, a build of a series for layout simulate',
    )
    .option('--json', 'print the plan as JSON')
    .action(plan);
  useOptions(command, [
    layoutSourceOptions,
    layerLimitOptions,
    pluginOptions,
    registryOptions,
    logOptions,
  ]);
}

async function plan(source: string | undefined, options: LayoutPlanOptions): Promise<void> {
  const { build, layout } = await openLayout(source, options, terminalLogger(options));
  const { write, writeComponents } = options;
  if (write !== undefined) {
    await inContextAsync(`writing ${write}`, () => writeFile(write, formatPlan(layout.layers)));
  }
  if (writeComponents !== undefined) {
    await inContextAsync(`writing ${writeComponents}`, () =>
      writeFile(writeComponents, `${formatBuild(build)}\n`),
    );
  }
  console.log(options.json ? formatPlan(layout.layers).trimEnd() : table(build, layout));
}

export interface OpenLayout {
  readonly build: SeriesBuild;
  readonly layout: LayoutPlan;
}

/** The layout that an image has; of any other source, the one that the options plan. */
export async function openOwnLayout(
  source: string | undefined,
  options: LayoutSourceOptions,
  log: Logger,
): Promise<OpenLayout> {
  const { repo, root, previousBuild } = options;
  if (
    source === undefined ||
    !isImgref(source) ||
    (repo ?? root ?? options.plan ?? previousBuild) !== undefined
  ) {
    return openLayout(source, options, log);
  }
  const { sources } = await loadPlugins(options);
  const image = await imageOpener(options, [source], log)(source);
  const build = await buildOfImageReader(image, { sources, log });
  const prior = (await previousFromImage(image, log)).recordFor(build.components);
  await image.close?.();
  const maxLayers = prior.layers.length + 1;
  const plan = planLayout(build.components, strategyFromPlan(prior.layers, log), {
    maxLayers,
    log,
  });
  return { build, layout: { ...plan, history: prior.history ?? plan.history } };
}

/** Plans `source` as the options say. */
export async function openLayout(
  source: string | undefined,
  options: LayoutSourceOptions,
  log: Logger,
): Promise<OpenLayout> {
  const plugins = await loadPlugins(options);
  const previous = options.previousBuild;
  const imgrefs = [source, previous].filter((each) => each !== undefined).filter(isImgref);
  const open = imageOpener(options, imgrefs, log);
  const build = await openBuild(source, options, { sources: plugins.sources, log, open });
  const prior =
    previous === undefined
      ? undefined
      : (await previousFromImage(await open(previous), log)).recordFor(build.components);
  const strategy =
    options.plan === undefined ? plugins.strategy : await strategyOfPlan(options.plan, log);
  const layout = planLayout(build.components, strategy, {
    maxLayers: layersForComponents(options.maxLayers),
    maxLayerSize: options.maxLayerSize,
    previous: prior,
    log,
  });
  return { build, layout };
}

/** Follows the plan in a file. */
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
      throw new OstrataError('USAGE', '--root: no other source is taken');
    }
    return buildOfTree(openDirectoryTree(root, context.log), root, context);
  }
  if (source === undefined) {
    throw new OstrataError('USAGE', `expected a source: ${SOURCE_HELP}`);
  }
  if (repo !== undefined) {
    const opened = openRepo(repo);
    return buildOfTree(
      await openLargeCommitTree(opened, opened.resolve(source), context.log),
      source,
      context,
    );
  }
  return isImgref(source) ? buildOfImage(source, context) : buildOfPath(source, basename(source));
}

function table({ components }: SeriesBuild, { layers }: LayoutPlan): string {
  const byId = new Map(components.map((component) => [component.id, component]));
  const rows = layers.map((layer, i) => {
    const members = layer.components.map((id) => byId.get(id) as LayoutComponent);
    return [
      String(i + 1),
      formatBytes(members.reduce((sum, { size }) => sum + size, 0)),
      formatRate(layerChangesPerYear(members)),
      someNames(layer.components, NAMES_WIDTH),
    ];
  });
  const columns = [
    { title: 'LAYER', align: 'right' },
    { title: 'CONTENT', align: 'right' },
    { title: 'CHANGES', align: 'right' },
    { title: 'COMPONENTS', align: 'left' },
  ] as const;
  const total = components.reduce((sum, { size }) => sum + size, 0);
  const what = `${counted(layers.length, 'layer')} for ${counted(components.length, 'component')}`;
  return `${formatTable(columns, rows)}\n\n${what}, ${formatBytes(total)}; the image has one more, for the commit`;
}
