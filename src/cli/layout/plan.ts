/** `ostrata layout plan`: plans the layers of a tree without building an image. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { layerChangesPerYear } from '../../components/rates.js';
import { inContextAsync } from '../../errors.js';
import { formatPlan } from '../../layout/plan-file.js';
import { formatBuild } from '../../layout/series.js';
import { useOptions } from '../options/groups.js';
import { layerLimitOptions } from '../options/layers.js';
import { pluginOptions } from '../options/plugins.js';
import { registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted, formatBytes, formatRate, formatTable, left, right } from '../output/format.js';
import { print } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import { bytesOf, LayoutCosts } from './costs.js';
import {
  type LayoutSourceOptions,
  layoutSourceOptions,
  planSource,
  SOURCE_HELP,
  type SourceLayout,
} from './source.js';

interface LayoutPlanOptions extends LayoutSourceOptions {
  readonly write?: string | undefined;
  readonly writeComponents?: string | undefined;
  readonly json?: boolean | undefined;
}

export function addLayoutPlanCommand(layout: Command): void {
  const command = layout
    .command('plan')
    .summary('plan the layers of a tree')
    .description(
      'Plan the layers of a tree without building an image. --write keeps the plan in a file ' +
        'that can be committed, reviewed, and followed with `container-encapsulate --plan`.',
    )
    .argument('[source]', SOURCE_HELP)
    .option('--write <file>', 'write the plan to this file')
    .option(
      '--write-components <file>',
      'write the components to this JSON file, which `layout simulate` reads as one build',
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
  const planned = await planSource(source, options, terminalLogger(options));
  const planText = formatPlan(planned.layout.layers);

  if (options.write !== undefined) {
    await writeText(options.write, planText);
  }
  if (options.writeComponents !== undefined) {
    await writeText(options.writeComponents, `${formatBuild(planned.build)}\n`);
  }
  print(options.json ? planText.trimEnd() : tableReport(planned));
}

function writeText(path: string, text: string): Promise<void> {
  return inContextAsync(`writing ${path}`, () => writeFile(path, text));
}

function tableReport(planned: SourceLayout): string {
  const { components, layers } = planned.layout;
  const costs = new LayoutCosts(planned);
  const rows = layers.map((layer, i) => {
    const members = costs.membersOf(layer);
    return [
      String(i + 1),
      formatBytes(bytesOf(members)),
      formatRate(layerChangesPerYear(members)),
      layer.components,
    ];
  });
  const columns = [right('LAYER'), right('CONTENT'), right('CHANGES'), left('COMPONENTS')];
  const table = formatTable(columns, rows);
  const layerCount = counted(layers.length, 'layer');
  const componentCount = counted(components.length, 'component');
  const size = formatBytes(bytesOf(components));
  const summary = `${layerCount} for ${componentCount}, ${size}`;
  return `${table}\n\n${summary}; the image has one more, for the commit`;
}
