/**
 * The first step of a build, the same for every kind of tree and image: tree -> components ->
 * layout -> layers. No content is written.
 */
import { setImmediate } from 'node:timers/promises';
import {
  assignComponents,
  type OwnedComponent,
  type PlannedComponent,
} from '../components/assign.js';
import { loadClaims } from '../components/load.js';
import { layerChangesPerYear } from '../components/rates.js';
import { inContextAsync, must, OstrataError } from '../errors.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import type { CommitLayerSpec } from '../layers/spec.js';
import { type ComponentChange, componentChanges } from '../layout/changes.js';
import { planLayout } from '../layout/plan.js';
import type { LayoutRecord, RecordedLayer } from '../layout/previous-layout.js';
import { recordOf } from '../layout/record.js';
import { type Context, duringWork, startWork } from '../log.js';
import type { Commit } from '../ostree/objects/commit.js';
import type { Loaded } from '../ostree/repo.js';
import type { Claims, ContentSource, LayoutStrategy } from '../plugin.js';
import type { LocatedTree } from '../tree/content-location.js';
import type { KeptBase } from '../tree/kept-base.js';
import type { ContentEntry } from '../tree/tree.js';
import type { PlannedBlob } from './blob-collector.js';
import type { PreviousBuild } from './previous.js';

/** What every build decides about the layers of its image. */
export interface LayoutPlanOptions extends Context {
  /** Decide which component owns which file. */
  readonly sources: readonly ContentSource[];
  /** Decides which components share a layer. */
  readonly strategy: LayoutStrategy;
  /** Largest number of layers in the image; at least 2, or 1 for a plain image. */
  readonly maxLayers: number;
  /** Bytes of content that a layer should not exceed, unless a single component does. */
  readonly maxLayerSize?: number | undefined;
  /** The build whose layout is followed and whose unchanged layers are reused. */
  readonly previous?: PreviousBuild | undefined;
}

/** How the entries of one tree become the layers of an image. */
export interface ImageFormat {
  /** The tree as the image has it. */
  readonly tree: LocatedTree;
  /** The layer before those of the components; undefined if there is none. */
  readonly commitLayer?: CommitLayer | undefined;
  /** Returns the same text for all entries that have to lie in one layer. */
  objectOf(entry: ContentEntry): string;
  /** Returns components of entries that no content source is asked about. */
  ownComponents(): readonly OwnedComponent[];
  /** Returns the layer that holds `components`. */
  layerOf(components: readonly OwnedComponent[]): KeyedSpec;
}

interface KeyedSpec {
  readonly spec: LayerSpec;
  /** Determines the bytes of the layer's tar. */
  readonly key: string;
}

/** The layer of an ostree commit and its metadata objects. */
export interface CommitLayer extends KeyedSpec {
  readonly spec: CommitLayerSpec;
  readonly commit: Loaded<Commit>;
  /** `created_by` in the history of the image. */
  readonly createdBy: string;
}

/** Everything known of an image before content is written. */
export interface ImagePlan {
  /** The tree without its entries. */
  readonly tree: Pick<LocatedTree, 'name' | 'content' | 'fetch' | 'close'>;
  /** The image whose layers come first, as they are. */
  readonly base: PlannedBase | undefined;
  readonly components: readonly PlannedComponent[];
  /** The first layer of an encapsulated image; plain images have none. */
  readonly commitLayer: PlannedCommitLayer | undefined;
  /** The layers of components, in image order. */
  readonly chunks: readonly PlannedChunk[];
  /** The layout record of the image, complete except for the chain id of its layers. */
  readonly record: LayoutRecord;
  /** The build whose layout the plan follows, and whose blobs the `unchanged` layers reuse. */
  readonly previous: PreviousBuild | undefined;
  /** What changed since the previous build; undefined without one. */
  readonly changes: readonly ComponentChange[] | undefined;
}

interface FoundComponents {
  readonly format: ImageFormat;
  readonly components: readonly OwnedComponent[];
}

/** A base image without its entries. */
type PlannedBase = Pick<KeptBase, 'image' | 'layers' | 'contentSizes' | 'history'>;

export interface PlannedCommitLayer extends CommitLayer, Pick<PlannedBlob, 'unchanged'> {}

/** A layer, and the components that it holds. */
export interface PlannedChunk extends PlannedBlob {
  readonly components: readonly PlannedComponent[];
  /** Bytes of regular files. */
  readonly contentSize: number;
  /** Expected changes a year; Infinity means a change in every build. */
  readonly changesPerYear: number;
}

/**
 * Decides which layer holds what. Reads the package database of the tree, and content only as far
 * as a content source asks for it.
 * @param formatOf makes the format, which may use what the content sources found
 */
export async function planLayers(
  sourceTree: LocatedTree,
  formatOf: (claims: readonly Claims[]) => ImageFormat | Promise<ImageFormat>,
  options: LayoutPlanOptions,
): Promise<ImagePlan> {
  const { previous, log, signal } = options;
  // Each step may compute for a second; in between, a signal can end the process.
  const letSignalsIn = () =>
    inContextAsync('planning layers', () => setImmediate(undefined, { signal }));
  const { format, components: given } = await duringWork(log, 'reading packages', () =>
    findComponents(sourceTree, formatOf, options),
  );
  const work = startWork(log, 'planning layers');
  await letSignalsIn();
  const { tree, commitLayer } = format;
  const previousRecord = previousLayout(previous, given, commitLayer === undefined);
  const layout = planLayout(given, options.strategy, {
    maxLayers: layersLeft(options.maxLayers, tree) - (commitLayer === undefined ? 0 : 1),
    maxLayerSize: options.maxLayerSize,
    previous: previousRecord,
    log,
  });
  await letSignalsIn();
  const { components } = layout;
  const layers = planChunks(format, components, layout.layers, previous);
  work.end();
  const { name, content, fetch, close, base } = tree;
  return {
    tree: { name, content, fetch, close },
    base: base && withoutEntries(base),
    components: components.map(withoutObjects),
    commitLayer: commitLayer && { ...commitLayer, unchanged: previous?.byKey.get(commitLayer.key) },
    // A layer without components keeps its position in the layout; the image does not contain it.
    chunks: layers.filter((layer) => layer.components.length > 0),
    record: { ...recordOf(layout, layers), commitKey: commitLayer?.key },
    previous,
    changes: previousRecord && componentChanges(previousRecord, components),
  };
}

/**
 * Finds out what belongs together. The claims, which are as large as the tree, are not kept.
 */
async function findComponents(
  sourceTree: LocatedTree,
  formatOf: (claims: readonly Claims[]) => ImageFormat | Promise<ImageFormat>,
  { sources, log, signal }: LayoutPlanOptions,
): Promise<FoundComponents> {
  const claims = await loadClaims(sourceTree, sources, { log, signal });
  const format = await formatOf(claims);
  const { tree } = format;
  const assigned = await assignComponents(tree, claims, (entry) => format.objectOf(entry));
  if (!claims.some(hasPackages)) {
    log.warn(
      `${tree.name} has no readable package database: ` +
        'layers follow directories and large files only',
    );
  }
  return { format, components: [...assigned, ...format.ownComponents()] };
}

function withoutEntries({ image, layers, contentSizes, history }: KeptBase): PlannedBase {
  return { image, layers, contentSizes, history };
}

/** Whether a content source has read a package database. */
function hasPackages({ components }: Claims): boolean {
  for (const { packages } of components.values()) {
    if (packages.length > 0) {
      return true;
    }
  }
  return false;
}

/** Returns how many layers there may be besides those of the base image. */
function layersLeft(maxLayers: number, { base }: LocatedTree): number {
  const baseCount = base?.layers.length ?? 0;
  if (base !== undefined && baseCount >= maxLayers) {
    throw new OstrataError(
      'USAGE',
      `at most ${maxLayers} layers are too few: ${base.image.name} has ${baseCount}, and they ` +
        `count, too; --max-layers=${baseCount + 1} or more leaves room for others above them`,
    );
  }
  return maxLayers - baseCount;
}

/**
 * Returns the layout to follow; undefined without a previous build. If the previous image was of
 * the other format, none of its layers can be reused.
 */
function previousLayout(
  previous: PreviousBuild | undefined,
  components: readonly OwnedComponent[],
  isPlain: boolean,
): LayoutRecord | undefined {
  const record = previous?.recordFor(components);
  const isOtherFormat = previous?.isPlain === !isPlain;
  return record && isOtherFormat ? { ...record, fromOtherTool: true } : record;
}

function planChunks(
  format: ImageFormat,
  components: readonly OwnedComponent[],
  layers: readonly RecordedLayer[],
  previous: PreviousBuild | undefined,
): readonly PlannedChunk[] {
  const byId = new Map(components.map((component) => [component.id, component]));
  return layers.map((layer) => {
    const members = layer.components.map((id) => must(byId.get(id), `component ${id}`));
    const { spec, key } = format.layerOf(members);
    return {
      components: members.map(withoutObjects),
      spec,
      key,
      contentSize: members.reduce((sum, { size }) => sum + size, 0),
      unchanged: previous?.byKey.get(key),
      changesPerYear: layerChangesPerYear(members),
    };
  });
}

/** Leaves out the entries of files: once the layers are planned, only their specs are needed. */
function withoutObjects({ objects, divisible, ...component }: OwnedComponent): PlannedComponent {
  return component;
}
