/** Plays a layout strategy through a series of builds, each planned on what the image of the build before it records. */

import type { LayoutComponent } from '../components/component.js';
import { silentLogger } from '../log.js';
import type { Component, LayoutLayer, LayoutStrategy } from '../plugin.js';
import { planLayout } from './plan.js';
import type { LayoutRecord } from './previous-layout.js';
import { decodeRecord, encodeRecord, recordOf } from './record.js';

/** One build of a series: all that a layout is planned from. */
export interface SeriesBuild {
  /** What the build is called, e.g. a commit or a file name. */
  readonly build: string;
  /** ISO 8601. */
  readonly date?: string | undefined;
  readonly components: readonly LayoutComponent[];
}

export interface ChainOptions {
  /** Layers for components; an image has one more, for the commit. */
  readonly maxLayers: number;
  readonly maxLayerSize?: number | undefined;
}

/** A build with its layers. */
export interface SimulatedBuild extends SeriesBuild {
  readonly layers: readonly SimulatedLayer[];
}
export interface SimulatedLayer extends LayoutLayer {
  /** Bytes of content. */
  readonly size: number;
  /** Equal exactly when the layers hold the same components in the same versions. */
  readonly key: string;
}

/** What clients of one build fetch to get to a later one. */
export interface SimulatedUpdate {
  readonly from: string;
  readonly to: string;
  /** Bytes of the layers that no layer of the earlier build equals. */
  readonly bytes: number;
  /** The same with one layer for each component: what no layout can do better than. */
  readonly boundBytes: number;
}

/** Plans every build on the record of the one before, as it is read back from an image. */
export function simulateChain(
  builds: readonly SeriesBuild[],
  strategy: LayoutStrategy,
  { maxLayers, maxLayerSize }: ChainOptions,
): readonly SimulatedBuild[] {
  let prior: LayoutRecord | undefined;
  return builds.map((build) => {
    const plan = planLayout(build.components, strategy, {
      maxLayers,
      ...(maxLayerSize !== undefined && { maxLayerSize }),
      ...(prior && { previous: prior }),
    });
    const label = encodeRecord(recordOf(plan, build.components), silentLogger);
    prior = label === undefined ? undefined : decodeRecord(label, silentLogger);
    return { ...build, layers: withSizes(plan.layers, build.components) };
  });
}

/** The updates from each build of a chain to the one `lag` builds later. */
export function simulateUpdates(
  chain: readonly SimulatedBuild[],
  lag: number,
): readonly SimulatedUpdate[] {
  const layers = chain.map(({ layers }) => new Map(layers.map(({ key, size }) => [key, size])));
  const components = chain.map(
    ({ components }) => new Map(components.map((each) => [contentKey(each), each.size])),
  );
  return chain.slice(lag).map(({ build }, i) => ({
    from: (chain[i] as SimulatedBuild).build,
    to: build,
    bytes: bytesOfNew(layers[i], layers[i + lag]),
    boundBytes: bytesOfNew(components[i], components[i + lag]),
  }));
}

const contentKey = ({ id, version }: Component): string => `${id}\0${version}`;

function withSizes(
  layers: readonly LayoutLayer[],
  components: readonly Component[],
): SimulatedLayer[] {
  const byId = new Map(components.map((component) => [component.id, component]));
  return layers.map((layer) => {
    const members = layer.components.map((id) => byId.get(id) as Component);
    const key = members.map(contentKey).sort().join('\n');
    return {
      components: layer.components,
      size: members.reduce((sum, { size }) => sum + size, 0),
      key,
    };
  });
}

function bytesOfNew(
  before: ReadonlyMap<string, number> = new Map(),
  after: ReadonlyMap<string, number> = new Map(),
) {
  let bytes = 0;
  for (const [key, size] of after) {
    if (!before.has(key)) {
      bytes += size;
    }
  }
  return bytes;
}

/** What `layout simulate` reports of one chain and lag. */
export interface SimulationSummary {
  readonly updates: number;
  readonly bytes: number;
  readonly boundBytes: number;
  /** bytes / boundBytes; 1 where nothing had to be fetched. */
  readonly ratio: number;
  /** Bytes of an update. */
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

/** A result with what it was computed from. */
export interface SimulationRun {
  readonly result: SimulationResult;
  readonly chain: readonly SimulatedBuild[];
  readonly updates: readonly SimulatedUpdate[];
}

export function summarize(updates: readonly SimulatedUpdate[]): SimulationSummary {
  const sorted = updates.map(({ bytes }) => bytes).sort((a, b) => a - b);
  const bytes = sorted.reduce((sum, each) => sum + each, 0);
  const boundBytes = updates.reduce((sum, update) => sum + update.boundBytes, 0);
  return {
    updates: updates.length,
    bytes,
    boundBytes,
    ratio: boundBytes > 0 ? bytes / boundBytes : 1,
    mean: updates.length > 0 ? bytes / updates.length : 0,
    median: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
  };
}

/** The smallest value that is not exceeded by at least that share of `sorted`; 0 of none. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
