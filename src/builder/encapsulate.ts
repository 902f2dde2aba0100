/**
 * The build of an image, in two steps. `planImage`: commit tree -> components -> layout -> layers.
 * `writeImage`: layers -> blobs -> config and manifest -> transport.
 */
import { assignComponents, type OwnedComponent } from '../components/assign.js';
import { loadClaims } from '../components/load.js';
import { layerChangesPerYear } from '../components/rates.js';
import { must, OstrataError } from '../errors.js';
import {
  type ChunkLayerSpec,
  type CommitLayerSpec,
  chunkLayerSpec,
  commitLayerKey,
  commitLayerSpec,
  type FormatVersion,
  layerKey,
} from '../layers/spec.js';
import { type ComponentChange, componentChanges } from '../layout/changes.js';
import { layersForComponents } from '../layout/max-layers.js';
import { planLayout } from '../layout/plan.js';
import type { LayoutRecord, RecordedLayer } from '../layout/previous-layout.js';
import { encodeRecord, LAYOUT_LABEL, recordOf } from '../layout/record.js';
import type { Context } from '../log.js';
import { chainId } from '../oci/chain-id.js';
import { openRepo } from '../ostree/repo.js';
import type { ContentSource, LayoutStrategy } from '../plugin.js';
import type { ImageWriter } from '../transports/transport.js';
import { type CommitTree, openLargeCommitTree } from '../tree/commit.js';
import { commitArchitecture } from './architecture.js';
import {
  type AssembledImage,
  assembleImage,
  commitDescription,
  commitLabels,
  componentsAnnotation,
  createdBy,
  type ImageLayer,
  type ImageOptions,
} from './config.js';
import type { PreviousBuild } from './previous.js';
import { type BlobOptions, type PlannedBlob, type WrittenBlob, writeBlobs } from './write-blobs.js';

export interface PlanImageOptions extends Context {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** A ref, `remote:ref`, or a commit's checksum or its unique beginning. */
  readonly ref: string;
  /** Decide which component owns which file. */
  readonly sources: readonly ContentSource[];
  /** Decides which components share a layer. */
  readonly strategy: LayoutStrategy;
  /** Largest number of layers in the image, the commit layer included; at least 2. */
  readonly maxLayers: number;
  /** Bytes of content that a layer should not exceed, unless a single component does. */
  readonly maxLayerSize?: number | undefined;
  readonly formatVersion: FormatVersion;
  /** The build whose layout is followed and whose unchanged layers are reused. */
  readonly previous?: PreviousBuild | undefined;
}

/** Everything known of an image before content is read. */
export interface ImagePlan {
  readonly tree: CommitTree;
  readonly components: readonly OwnedComponent[];
  /** The first layer: the commit and its metadata objects. */
  readonly commitLayer: PlannedCommitLayer;
  /** The other layers, in image order: the content of the commit. */
  readonly chunks: readonly PlannedChunk[];
  /** The layout record of the image, complete except for the chain id of its layers. */
  readonly record: LayoutRecord;
  /** The build whose layout the plan follows, and whose blobs the `unchanged` layers reuse. */
  readonly previous: PreviousBuild | undefined;
  /** What changed since the previous build; undefined without one. */
  readonly changes: readonly ComponentChange[] | undefined;
}

export interface PlannedCommitLayer extends PlannedBlob {
  readonly spec: CommitLayerSpec;
}

/** A layer of content objects, and the components they belong to. */
export interface PlannedChunk extends PlannedBlob {
  readonly components: readonly OwnedComponent[];
  readonly spec: ChunkLayerSpec;
  /** Expected changes a year; Infinity means a change in every build. */
  readonly changesPerYear: number;
}

/**
 * Decides which layer holds what. Reads the commit's metadata and package database, and content
 * only as far as a content source asks for it.
 */
export async function planImage(options: PlanImageOptions): Promise<ImagePlan> {
  const { sources, previous, log, signal } = options;
  const repo = openRepo(options.repo);
  const tree = await openLargeCommitTree(repo, repo.resolve(options.ref), log);

  const claims = await loadClaims(tree, sources, { log, signal });
  const components = await assignComponents(tree, claims);
  if (!components.some(({ facts }) => facts.packages.length > 0)) {
    log.warn(
      `${tree.name} has no readable package database: ` +
        'layers follow directories and large files only',
    );
  }

  const previousRecord = previous?.recordFor(components);
  const layout = planLayout(components, options.strategy, {
    maxLayers: layersForComponents(options.maxLayers),
    maxLayerSize: options.maxLayerSize,
    previous: previousRecord,
    log,
  });
  const layers = planChunks(tree, components, layout.layers, options);
  const commitLayer = planCommitLayer(tree, previous);

  return {
    tree,
    components,
    commitLayer,
    // A layer without components keeps its position in the layout; the image does not contain it.
    chunks: layers.filter(({ spec }) => spec.objects.length > 0),
    record: { ...recordOf(layout, components, layers), commitKey: commitLayer.key },
    previous,
    changes: previousRecord && componentChanges(previousRecord, components),
  };
}

function planCommitLayer(
  tree: CommitTree,
  previous: PreviousBuild | undefined,
): PlannedCommitLayer {
  const spec = commitLayerSpec(tree);
  const detachedMetadata = tree.repo.loadCommitMeta(tree.commit.checksum)?.bytes;
  const key = commitLayerKey(spec, detachedMetadata);
  return { spec, key, unchanged: previous?.byKey.get(key) };
}

function planChunks(
  tree: CommitTree,
  components: readonly OwnedComponent[],
  layers: readonly RecordedLayer[],
  { formatVersion, previous }: PlanImageOptions,
): readonly PlannedChunk[] {
  const byId = new Map(components.map((component) => [component.id, component]));
  return layers.map((layer) => {
    const members = layer.components.map((id) => must(byId.get(id), `component ${id}`));
    const spec = chunkLayerSpec(tree, members, formatVersion);
    const key = layerKey(spec);
    return {
      components: members,
      spec,
      key,
      unchanged: previous?.byKey.get(key),
      changesPerYear: layerChangesPerYear(members),
    };
  });
}

/** How the layers of a plan are written, and what else the image says. */
export interface WriteImageOptions extends BlobOptions, ImageOptions, Context {}

export interface WrittenImage extends AssembledImage {
  /** In image order, the commit layer first. */
  readonly layers: readonly WrittenLayer[];
}

export interface WrittenLayer extends ImageLayer, WrittenBlob {
  /** Undefined for the commit layer. */
  readonly chunk: PlannedChunk | undefined;
}

/**
 * Writes the planned layers, reusing those that did not change, and commits the image to `writer`.
 * On failure nothing is left at the destination.
 */
export async function writeImage(
  plan: ImagePlan,
  writer: ImageWriter,
  options: WriteImageOptions,
): Promise<WrittenImage> {
  try {
    const { commit, repo } = plan.tree;
    // Options that do not fit the commit fail here, before any work is done.
    const architecture = options.architecture ?? architectureOf(plan);
    const copiedLabels = commitLabels(commit.parsed, options);

    const { compression, jobs, cache, log, signal } = options;
    const blobs = await writeBlobs([plan.commitLayer, ...plan.chunks], writer, {
      repoPath: repo.path,
      previous: plan.previous,
      compression,
      jobs,
      cache,
      log,
      signal,
    });
    const layers = blobs.map((blob, i) => writtenLayer(plan, i, blob));

    const diffIds = layers.map(({ diffId }) => diffId);
    const record = encodeRecord({ ...plan.record, chainId: chainId(diffIds) }, log);
    const labels = { ...copiedLabels, [LAYOUT_LABEL]: record };
    const image = assembleImage(commit, layers, { ...options, architecture }, labels);
    if (signal.aborted) {
      throw new OstrataError('CANCELLED', 'writing the image: cancelled');
    }
    await writer.commit(image);
    return { ...image, layers };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function architectureOf({ tree, components }: ImagePlan): string {
  const packages = components.flatMap(({ facts }) => facts.packages);
  return commitArchitecture(tree.commit.parsed, packages);
}

/** @param index of the layer in the image; 0 is the commit layer */
function writtenLayer(plan: ImagePlan, index: number, blob: WrittenBlob): WrittenLayer {
  if (index === 0) {
    return { ...blob, chunk: undefined, createdBy: commitDescription(plan.tree.commit) };
  }
  const chunk = must(plan.chunks[index - 1], `chunk layer ${index}`);
  const { descriptor } = blob;
  const annotations = { ...descriptor.annotations, ...componentsAnnotation(chunk.components) };
  return {
    ...blob,
    chunk,
    descriptor: { ...descriptor, annotations },
    createdBy: createdBy(chunk.components),
  };
}
