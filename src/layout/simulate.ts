/**
 * Simulates a layout strategy on a series of builds. Each layout follows the layout record of the
 * previous build, as in a series of real images.
 */
import type { LayoutComponent } from '../components/component.js';
import { must } from '../errors.js';
import { silentLogger } from '../log.js';
import type { Component, LayoutLayer, LayoutStrategy } from '../plugin.js';
import { planLayout } from './plan.js';
import type { LayoutRecord } from './previous-layout.js';
import type { PublishedBuild } from './published.js';
import { decodeRecord, encodeRecord, recordOf } from './record.js';

/** One build of a series: all that a layout is planned from. */
export interface SeriesBuild extends PublishedBuild {
  /** ISO 8601. */
  readonly date?: string | undefined;
  /** The same only for the same build, whatever it is called; see series.ts. */
  readonly id?: string | undefined;
  readonly components: readonly LayoutComponent[];
}

export interface SimulationLimits {
  /** Number of layers for components, without the commit layer. */
  readonly maxLayers: number;
  /** Bytes of content. */
  readonly maxLayerSize?: number | undefined;
}

/** A build with its layers. */
export interface SimulatedBuild extends SeriesBuild {
  readonly layers: readonly SimulatedLayer[];
}
export interface SimulatedLayer extends LayoutLayer {
  /** Bytes of content. */
  readonly size: number;
  /** Equal if and only if the layers hold the same components in the same versions. */
  readonly key: string;
}

/** What clients of one build download to get to a later one. */
export interface SimulatedUpdate {
  readonly from: string;
  readonly to: string;
  /** Bytes of the layers that the earlier build does not have. */
  readonly bytes: number;
  /** The same with one layer for each component: no layout of whole components can do better. */
  readonly boundBytes: number;
  /** The same with one layer for each part, whatever the strategy splits. */
  readonly partBoundBytes: number;
}

const PLENTY_OF_LAYERS = 10_000;
/** The layout that {@link SimulatedUpdate.partBoundBytes} is about. */
const ONE_PER_PART: LayoutStrategy = {
  name: 'one-per-part',
  description: 'one layer for each component or part of one',
  parts: 'any',
  plan: (components) => ({ layers: components.map(({ id }) => ({ components: [id] })) }),
};

/**
 * Plans the layout of every build. Each follows the record of the previous build, which is written
 * as the label of an image and read back, so that it loses what a label loses.
 * @param onPlanned called after each build
 */
export function simulateChain(
  builds: readonly SeriesBuild[],
  strategy: LayoutStrategy,
  limits: SimulationLimits,
  onPlanned = () => {},
): readonly SimulatedBuild[] {
  let previous: LayoutRecord | undefined;
  return builds.map((build) => {
    const plan = planLayout(build.components, strategy, { ...limits, previous });
    const label = encodeRecord(recordOf(plan), silentLogger);
    previous = label === undefined ? undefined : decodeRecord(label, silentLogger);
    const layers = simulatedLayers(plan.layers, plan.components);
    onPlanned();
    return { ...build, layers };
  });
}

/**
 * Returns the components of each build, split as for a layout with plenty of layers; parts follow
 * those of the build before.
 */
export function partsOfBuilds(builds: readonly SeriesBuild[]): readonly (readonly Component[])[] {
  let previous: LayoutRecord | undefined;
  return builds.map(({ components }) => {
    const maxLayers = Math.max(PLENTY_OF_LAYERS, components.length);
    const plan = planLayout(components, ONE_PER_PART, { maxLayers, previous });
    previous = recordOf(plan);
    return plan.components;
  });
}

/**
 * Returns the updates from each build of a chain to the one `lag` builds later; `parts` are those
 * of its builds.
 */
export function simulateUpdates(
  chain: readonly SimulatedBuild[],
  parts: readonly (readonly Component[])[],
  lag: number,
): readonly SimulatedUpdate[] {
  const contents = chain.map(({ build, layers, components }, i) => ({
    build,
    layers: new Map(layers.map(({ key, size }) => [key, size])),
    components: sizesByContent(components),
    parts: sizesByContent(parts[i] ?? []),
  }));

  const updates: SimulatedUpdate[] = [];
  for (const [i, from] of contents.entries()) {
    const to = contents[i + lag];
    if (to !== undefined) {
      updates.push({
        from: from.build,
        to: to.build,
        bytes: bytesToDownload(from.layers, to.layers),
        boundBytes: bytesToDownload(from.components, to.components),
        partBoundBytes: bytesToDownload(from.parts, to.parts),
      });
    }
  }
  return updates;
}

function sizesByContent(components: readonly Component[]): ReadonlyMap<string, number> {
  return new Map(components.map((component) => [contentKey(component), component.size]));
}

function contentKey({ id, version }: Component): string {
  return `${id}\0${version}`;
}

function simulatedLayers(
  layers: readonly LayoutLayer[],
  components: readonly Component[],
): SimulatedLayer[] {
  const byId = new Map(components.map((component) => [component.id, component]));
  return layers.map((layer) => {
    const members = layer.components.map((id) => must(byId.get(id), `component ${id}`));
    return {
      components: layer.components,
      size: members.reduce((sum, { size }) => sum + size, 0),
      key: members.map(contentKey).sort().join('\n'),
    };
  });
}

/**
 * Returns the size of everything that `to` has and `from` lacks; both map content keys to sizes.
 */
function bytesToDownload(
  from: ReadonlyMap<string, number>,
  to: ReadonlyMap<string, number>,
): number {
  let bytes = 0;
  for (const [key, size] of to) {
    if (!from.has(key)) {
      bytes += size;
    }
  }
  return bytes;
}

/** The costs of the updates of one chain. */
interface SimulationSummary {
  readonly updates: number;
  /** Bytes of all updates together. */
  readonly bytes: number;
  readonly boundBytes: number;
  readonly partBoundBytes: number;
  /** bytes / boundBytes; 1 if nothing had to be downloaded. */
  readonly ratio: number;
  /** bytes / partBoundBytes; 1 if nothing had to be downloaded. */
  readonly partRatio: number;
  /** Bytes of an update: the mean, the median and the 90th percentile. */
  readonly mean: number;
  readonly median: number;
  readonly p90: number;
}

/** What one strategy costs on one series of builds. */
export interface SimulationResult extends SimulationSummary {
  readonly series: string;
  readonly strategy: string;
  readonly maxLayers: number;
  readonly lag: number;
}

/** Whether parts make a difference in a series: many say nothing about directories. */
export function hasPartBound({ boundBytes, partBoundBytes }: SimulationSummary): boolean {
  return partBoundBytes !== boundBytes;
}

/** A result, and what it was computed from. */
export interface SimulationRun {
  readonly result: SimulationResult;
  readonly chain: readonly SimulatedBuild[];
  readonly updates: readonly SimulatedUpdate[];
}

/** Sums up what the updates cost. */
export function summarize(updates: readonly SimulatedUpdate[]): SimulationSummary {
  const sorted = updates.map(({ bytes }) => bytes).sort((a, b) => a - b);
  const bytes = sorted.reduce((sum, each) => sum + each, 0);
  const boundBytes = updates.reduce((sum, update) => sum + update.boundBytes, 0);
  const partBoundBytes = updates.reduce((sum, update) => sum + update.partBoundBytes, 0);
  return {
    updates: updates.length,
    bytes,
    boundBytes,
    partBoundBytes,
    ratio: boundBytes > 0 ? bytes / boundBytes : 1,
    partRatio: partBoundBytes > 0 ? bytes / partBoundBytes : 1,
    mean: updates.length > 0 ? bytes / updates.length : 0,
    median: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
  };
}

/**
 * Returns the smallest value that at least `share` of the values do not exceed; 0 for an empty
 * list.
 */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
