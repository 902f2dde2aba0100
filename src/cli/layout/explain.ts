/** `ostrata layout explain`: why a component is in its layer, and what that costs. */
import type { Command } from 'commander';
import { layoutNames } from '../../../plugins/index.js';
import { unitKey } from '../../../plugins/layouts/probability.js';
import { must, OstrataError } from '../../errors.js';
import type { RecordedLayer } from '../../layout/previous-layout.js';
import type { Component } from '../../plugin.js';
import { isImgref } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { layerLimitOptions } from '../options/layers.js';
import { pluginOptions, STABLE } from '../options/plugins.js';
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

/** Several components can have the same name: a package for two architectures, or its parts. */
function findComponents(wanted: string, { build, layout }: SourceLayout): readonly Component[] {
  const isWanted = ({ id, name, partOf }: Component) => {
    const names = [id, name, partOf];
    return names.includes(wanted);
  };
  const found = layout.components.filter(isWanted);
  if (found.length === 0) {
    const shown = JSON.stringify(wanted);
    throw new OstrataError('NOT_FOUND', `no component ${shown} in ${build.build}`);
  }
  return found;
}

function componentReport(
  component: Component,
  explained: SourceLayout,
  costs: LayoutCosts,
  whyNot: WhyNotMoved,
): string {
  const { id, source } = component;
  const { layers } = explained.layout;
  const index = layers.findIndex((each) => each.components.includes(id));
  const layer = must(layers[index], `the layer of component ${id}`);
  const members = costs.membersOf(layer);

  const size = formatBytes(component.size);
  const place = `${index + 1} of ${layers.length}`;
  const requested = layer.exclusive ? ', a separate layer that the component asks for' : '';
  const expectedBytes = costs.expectedBytes(members);
  const expected = formatBytes(Math.round(expectedBytes));
  const lines = [
    `${id}: ${size}, source package ${source}`,
    `  layer      ${place}: ${componentsSize(members)}${requested}`,
    `  shared     with ${otherNames(component, layer)}`,
    `  changes    ${changesText(component, explained, costs)}`,
    `  download   ${downloadText(component, explained, costs)}`,
    `  expected   ${expected} for this layer with each update`,
    ...elsewhereLines(component, index, layers, costs, whyNot),
  ];
  return lines.map(printable).join('\n');
}

/** Returns for example `1.2 MB in 3 components`. */
function componentsSize(components: readonly Component[]): string {
  const size = formatBytes(bytesOf(components));
  const count = counted(components.length, 'component');
  return `${size} in ${count}`;
}

function otherNames(component: Component, layer: RecordedLayer): string {
  const others = layer.components.filter((id) => id !== component.id);
  return others.length > 0 ? someNames(others, REASONS_WIDTH) : 'no other component';
}

function changesText(component: Component, { layout }: SourceLayout, costs: LayoutCosts): string {
  const rate = formatRate(component.changesPerYear);
  const count = layout.history.get(component.id);
  let recorded = 'no update is recorded';
  if (count !== undefined) {
    const updates = counted(count.updates, 'recorded update');
    recorded = `in ${count.changes} of ${updates}`;
  }
  const probability = costs.probabilityOf(component);
  const percent = formatPercent(probability, 1);
  const parts = [
    `${rate} according to package data`,
    recorded,
    `with ${percent} probability in the next update`,
  ];
  return parts.join('; ');
}

/** What clients download when the source package changes, and how much of that changed. */
function downloadText(component: Component, { layout }: SourceLayout, costs: LayoutCosts): string {
  const { id, source, partOf } = component;
  const isChanged = (other: Component) => unitKey(other) === unitKey(component);
  const changed = layout.components.filter(isChanged);
  const layers = layout.layers.map((layer) => costs.membersOf(layer));
  const fetched = layers.filter((members) => members.some(isChanged));

  const size = formatBytes(bytesOf(fetched.flat()));
  const count = counted(fetched.length, 'layer');
  const content = componentsSize(changed);
  const what = partOf === undefined ? `source package ${source}` : id;
  return `${size} in ${count} when ${what} changes (${content})`;
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
  const moves: Move[] = [];
  for (const [i, other] of layers.entries()) {
    if (i !== index && !other.exclusive) {
      const cost = costs.movingCost(component, layer, other);
      moves.push({ other, number: i + 1, cost });
    }
  }
  moves.sort((a, b) => a.cost - b.cost);
  const [best] = moves;
  if (best === undefined) {
    return [];
  }

  const difference = formatBytes(Math.round(Math.abs(best.cost)));
  const place = `  elsewhere  layer ${best.number} is the best alternative`;
  if (best.cost >= 0) {
    return [`${place}: ${difference} more with each update`];
  }
  const ownBytes = bytesOf(costs.membersOf(layer));
  const otherBytes = bytesOf(costs.membersOf(best.other));
  const reason = whyNot(ownBytes + otherBytes);
  return [`${place}: ${difference} less with each update; ${reason}`];
}

/** A component's move to another layer. */
interface Move {
  readonly other: RecordedLayer;
  /** The number of the other layer, from 1. */
  readonly number: number;
  /** Expected bytes that each update has more; less if negative. */
  readonly cost: number;
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
  const isImage = source !== undefined && isImgref(source);
  if (isImage || previousBuild !== undefined) {
    return (bothLayers) => {
      const size = formatBytes(bothLayers);
      return `moving it costs clients ${size} once`;
    };
  }
  if (plan !== undefined) {
    return () => 'the plan file says otherwise';
  }
  return layout === layoutNames[0] || layout === STABLE
    ? () => 'a first layout is chosen to last, not for the next update alone'
    : () => `the layout ${layout} follows other rules`;
}
