import type { Command } from 'commander';
import { changeProbabilities } from '../../../plugins/layouts/probability.js';
import type { LayoutComponent } from '../../components/component.js';
import { OstrataError } from '../../errors.js';
import type { RecordedLayer } from '../../layout/previous-layout.js';
import { useOptions } from '../options/groups.js';
import { layerLimitOptions } from '../options/layers.js';
import { pluginOptions } from '../options/plugins.js';
import { registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  counted,
  formatBytes,
  formatPercent,
  formatRate,
  printable,
  someNames,
} from '../output/format.js';
import { terminalLogger } from '../output/terminal.js';
import {
  type LayoutSourceOptions,
  layoutSourceOptions,
  type OpenLayout,
  openOwnLayout,
  SOURCE_HELP,
} from './plan.js';

/** Characters of component names in a row. */
const NAMES_WIDTH = 90;

interface ExplainOptions extends LayoutSourceOptions {
  readonly component: readonly string[];
}

export function addLayoutExplainCommand(layout: Command): void {
  const command = layout
    .command('explain')
    .summary('why a component is in its layer, and what its update costs')
    .description(
      'Tell which layer a component is in, what it shares it with, what an update of it costs clients, and what it would ' +
        'cost elsewhere. An image is explained as it is; of any other source, the layout that would be planned. ' +
        'Probabilities are those of the layout expected-download.',
    )
    .argument('[source]', SOURCE_HELP)
    .requiredOption('--component <name...>', 'ids or names of components')
    .action(async (source: string | undefined, options: ExplainOptions) => {
      const opened = await openOwnLayout(source, options, terminalLogger(options));
      console.log(options.component.map((name) => explain(opened, name)).join('\n\n'));
    });
  useOptions(command, [
    layoutSourceOptions,
    layerLimitOptions,
    pluginOptions,
    registryOptions,
    logOptions,
  ]);
}

function explain({ build, layout }: OpenLayout, name: string): string {
  const named = build.components.filter(({ id, name: other }) => id === name || other === name);
  if (named.length === 0) {
    throw new OstrataError('NOT_FOUND', `no component ${JSON.stringify(name)} in ${build.build}`);
  }
  const chance = changeProbabilities(build.components, layout.history);
  const byId = new Map(build.components.map((component) => [component.id, component]));
  const membersOf = (layer: RecordedLayer) =>
    layer.components.map((id) => byId.get(id) as LayoutComponent);
  const costOf = (members: readonly LayoutComponent[]) => {
    const sources = new Set(members.map(({ source }) => source));
    const stays = [...sources].reduce(
      (product, source) => product * (1 - (chance.get(source) ?? 0)),
      1,
    );
    return bytesOf(members) * (1 - stays);
  };
  return named
    .map((component) => explainOne(component, layout.layers, membersOf, costOf, chance))
    .join('\n\n');

  function explainOne(
    component: LayoutComponent,
    layers: readonly RecordedLayer[],
    membersOf: (layer: RecordedLayer) => readonly LayoutComponent[],
    costOf: (members: readonly LayoutComponent[]) => number,
    chances: ReadonlyMap<string, number>,
  ): string {
    const { id, source } = component;
    const at = layers.findIndex((layer) => layer.components.includes(id));
    const layer = layers[at] as RecordedLayer;
    const members = membersOf(layer);
    const others = members.filter((member) => member.id !== id);
    const count = layout.history.get(id);
    const siblings = build.components.filter((each) => each.source === source);
    const dirtied = layers.filter((each) =>
      membersOf(each).some((member) => member.source === source),
    );
    const moved = (to: readonly LayoutComponent[]) =>
      costOf([...to, component]) - costOf(to) - (costOf(members) - costOf(others));
    const elsewhere = layers
      .flatMap((each, i) =>
        i === at || each.exclusive ? [] : [{ i, more: moved(membersOf(each)) }],
      )
      .sort((a, b) => a.more - b.more);
    const lines = [
      `${id}: ${formatBytes(component.size)}, source package ${source}`,
      `  layer      ${at + 1} of ${layers.length}: ${formatBytes(bytesOf(members))} in ${counted(members.length, 'component')}` +
        (layer.exclusive ? ', which it asks for itself' : ''),
      `  shares it  ${
        others.length > 0
          ? someNames(
              others.map((other) => other.id),
              NAMES_WIDTH,
            )
          : 'with nothing'
      }`,
      `  changes    ${formatRate(component.changesPerYear)} by package data; ` +
        (count
          ? `${count.changes} of ${counted(count.updates, 'update')} seen; `
          : 'no update seen; ') +
        `${formatPercent(chances.get(source) ?? 0, 1)} chance with the next update`,
      `  an update  of ${source} fetches ${formatBytes(sum(dirtied.map((each) => bytesOf(membersOf(each)))))} in ` +
        `${counted(dirtied.length, 'layer')} for ${formatBytes(bytesOf(siblings))} of ${counted(siblings.length, 'component')}`,
      `  expected   ${formatBytes(Math.round(costOf(members)))} with each update for this layer`,
    ];
    const [next] = elsewhere;
    if (next) {
      lines.push(
        `  elsewhere  the next best is layer ${next.i + 1}: ${next.more >= 0 ? '+' : '-'}` +
          `${formatBytes(Math.round(Math.abs(next.more)))} expected with each update`,
      );
    }
    return printable(lines.join('\0')).replaceAll('\\u0000', '\n');
  }
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const bytesOf = (components: readonly LayoutComponent[]) => sum(components.map(({ size }) => size));
