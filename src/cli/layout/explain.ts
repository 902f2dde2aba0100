/** `ostrata layout explain`: why a component is in its layer, and what that costs. */
import type { Command } from 'commander';
import { layoutNames } from '../../../plugins/index.js';
import { must, OstrataError } from '../../errors.js';
import type { RecordedLayer } from '../../layout/previous-layout.js';
import type { Component } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
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
  REASONS_WIDTH,
  someNames,
} from '../output/format.js';
import { print, printable } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import { bytesOf, LayoutCosts } from './costs.js';
import {
  type LayoutSourceOptions,
  layoutOfSource,
  layoutSourceOptions,
  SOURCE_HELP,
  type SourceLayout,
} from './source.js';

interface ExplainOptions extends LayoutSourceOptions {
  readonly component: readonly string[];
}

export function addLayoutExplainCommand(layout: Command): void {
  const command = layout
    .command('explain')
    .summary('explain why a component is in its layer, and what its updates cost')
    .description(
      'Explain which layer a component is in, which components share that layer, what clients ' +
        'download when the component changes, and what it would cost in another layer. For an ' +
        'image, its layout is explained; for any other source, the layout that would be planned. ' +
        'Probabilities are those of the layout expected-download.',
    )
    .argument('[source]', SOURCE_HELP)
    .requiredOption('--component <name...>', 'ids or names of the components to explain')
    .action(explain);
  useOptions(command, [
    layoutSourceOptions,
    layerLimitOptions,
    pluginOptions,
    registryOptions,
    logOptions,
  ]);
}

async function explain(source: string | undefined, options: ExplainOptions): Promise<void> {
  const explained = await layoutOfSource(source, options, terminalLogger(options));
  const costs = new LayoutCosts(explained);
  const components = options.component.flatMap((name) => findComponents(name, explained));
  const whyNot = whyNotMoved(source, options);
  const reports = components.map((component) =>
    componentReport(component, explained, costs, whyNot),
  );
  print(reports.join('\n\n'));
}

/** Several components can have the same name: one package for two architectures. */
function findComponents(wanted: string, { build }: SourceLayout): readonly Component[] {
  const found = build.components.filter(({ id, name }) => id === wanted || name === wanted);
  if (found.length === 0) {
    throw new OstrataError('NOT_FOUND', `no component ${JSON.stringify(wanted)} in ${build.build}`);
  }
  return found;
}

function componentReport(
  component: Component,
  explained: SourceLayout,
  costs: LayoutCosts,
  whyNot: WhyNotMoved,
): string {
  const { layers } = explained.layout;
  const index = layers.findIndex((each) => each.components.includes(component.id));
  const layer = must(layers[index], `the layer of component ${component.id}`);
  const members = costs.membersOf(layer);

  const size = `${formatBytes(bytesOf(members))} in ${counted(members.length, 'component')}`;
  const requested = layer.exclusive ? ', a separate layer that the component asks for' : '';
  const expected = formatBytes(Math.round(costs.expectedBytes(members)));
  const lines = [
    `${component.id}: ${formatBytes(component.size)}, source package ${component.source}`,
    `  layer      ${index + 1} of ${layers.length}: ${size}${requested}`,
    `  shared     with ${otherNames(component, layer)}`,
    `  changes    ${changesText(component, explained, costs)}`,
    `  download   ${downloadText(component, explained, costs)}`,
    `  expected   ${expected} for this layer with each update`,
    ...elsewhereLines(component, index, layers, costs, whyNot),
  ];
  return lines.map(printable).join('\n');
}

function otherNames(component: Component, layer: RecordedLayer): string {
  const others = layer.components.filter((id) => id !== component.id);
  return others.length > 0 ? someNames(others, REASONS_WIDTH) : 'no other component';
}

function changesText(component: Component, { layout }: SourceLayout, costs: LayoutCosts): string {
  const rate = `${formatRate(component.changesPerYear)} according to package data`;
  const count = layout.history.get(component.id);
  const recorded = count
    ? `in ${count.changes} of ${counted(count.updates, 'recorded update')}`
    : 'no update is recorded';
  const probability = formatPercent(costs.probabilityOf(component.source), 1);
  return `${rate}; ${recorded}; with ${probability} probability in the next update`;
}

/** What clients download when the source package changes, and how much of that changed. */
function downloadText({ source }: Component, explained: SourceLayout, costs: LayoutCosts): string {
  const fetched = explained.layout.layers
    .map((layer) => costs.membersOf(layer))
    .filter((members) => members.some((member) => member.source === source));
  const changed = explained.build.components.filter((each) => each.source === source);
  const download = `${formatBytes(bytesOf(fetched.flat()))} in ${counted(fetched.length, 'layer')}`;
  const content = `${formatBytes(bytesOf(changed))} in ${counted(changed.length, 'component')}`;
  return `${download} when source package ${source} changes (${content})`;
}

/** Returns a line on the cheapest other layer; no line if no other layer may hold the component. */
function elsewhereLines(
  component: Component,
  index: number,
  layers: readonly RecordedLayer[],
  costs: LayoutCosts,
  whyNot: WhyNotMoved,
): readonly string[] {
  const layer = must(layers[index], `layer ${index}`);
  const [best] = layers
    .map((other, i) => ({ other, number: i + 1 }))
    .filter(({ other }) => other !== layer && !other.exclusive)
    .map(({ other, number }) => ({
      other,
      number,
      cost: costs.movingCost(component, layer, other),
    }))
    .sort((a, b) => a.cost - b.cost);
  if (best === undefined) {
    return [];
  }
  const difference = formatBytes(Math.round(Math.abs(best.cost)));
  const bothLayers = bytesOf([...costs.membersOf(layer), ...costs.membersOf(best.other)]);
  const change = best.cost >= 0 ? `${difference} more` : `${difference} less`;
  const reason = best.cost >= 0 ? '' : `; ${whyNot(bothLayers)}`;
  const place = `layer ${best.number} is the best alternative`;
  return [`  elsewhere  ${place}: ${change} with each update${reason}`];
}

/**
 * Says why a component is not in a layer where it would cost less.
 * @param bothLayers bytes of its layer and of the other one
 */
type WhyNotMoved = (bothLayers: number) => string;

function whyNotMoved(
  source: string | undefined,
  { previousBuild, plan, layout }: ExplainOptions,
): WhyNotMoved {
  if (previousBuild !== undefined || (source !== undefined && isImgref(source))) {
    return (bothLayers) => `moving it costs clients ${formatBytes(bothLayers)} once`;
  }
  if (plan !== undefined) {
    return () => 'the plan file says otherwise';
  }
  return layout === layoutNames[0]
    ? () => 'a first layout is chosen to last, not for the next update alone'
    : () => `the layout ${layout} follows other rules`;
}
