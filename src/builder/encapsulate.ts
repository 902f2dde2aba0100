/** An ostree commit in, an OCI image of at most N layers out: tree -> components -> layout -> layers -> image -> transport. */
import { assignComponents, type OwnedComponent } from '../components/assign.js';
import { loadClaims } from '../components/load.js';
import { layerChangesPerYear } from '../components/rates.js';
import { OstrataError } from '../errors.js';
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
import type { LayoutRecord } from '../layout/prior.js';
import { encodeRecord, LAYOUT_LABEL, recordOf } from '../layout/record.js';
import type { Logger } from '../log.js';
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
import {
  type PlannedBlob,
  type WriteBlobsOptions,
  type WrittenBlob,
  writeBlobs,
} from './write-blobs.js';

export interface PlanImageOptions {
  /** Path of the ostree repository. */
  readonly repo: string;
  /** Ref, `remote:ref`, commit id or its unique beginning. */
  readonly ref: string;
  readonly sources: readonly ContentSource[];
  readonly strategy: LayoutStrategy;
  /** Layers of the image, the commit layer among them; at least 2. */
  readonly maxLayers: number;
  /** Bytes of content that a layer should not exceed unless one component alone does. */
  readonly maxLayerSize?: number | undefined;
  readonly formatVersion: FormatVersion;
  readonly previous?: PreviousBuild | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** All that is known of the image before content is read. */
export interface ImagePlan {
  readonly tree: CommitTree;
  readonly components: readonly OwnedComponent[];
  readonly commitLayer: CommitLayerSpec;
  readonly chunks: readonly PlannedChunk[];
  /** What the image tells the builds after it. */
  readonly record: LayoutRecord;
  /** What changed since the previous build; undefined without one. */
  readonly changes: readonly ComponentChange[] | undefined;
}
export interface PlannedChunk extends PlannedBlob {
  readonly components: readonly OwnedComponent[];
  readonly spec: ChunkLayerSpec;
  /** Expected changes a year; Infinity: in every build. */
  readonly changesPerYear: number;
}

/** Decides which layer holds what. Reads metadata and the package database, no other content. */
export async function planImage(options: PlanImageOptions): Promise<ImagePlan> {
  const { log, signal, previous } = options;
  const repo = openRepo(options.repo);
  const tree = await openLargeCommitTree(repo, repo.resolve(options.ref), log);
  const components = await assignComponents(
    tree,
    await loadClaims(tree, options.sources, { log, signal }),
  );
  if (!components.some(({ facts }) => facts.packages.length > 0)) {
    log.warn(
      `${tree.name} has no package database that is understood: layers follow directories and large files only`,
    );
  }

  const prior = previous?.prior(components);
  const layout = planLayout(components, options.strategy, {
    maxLayers: layersForComponents(options.maxLayers),
    ...(options.maxLayerSize !== undefined && { maxLayerSize: options.maxLayerSize }),
    ...(prior && { prior }),
    log,
  });
  const byId = new Map(components.map((component) => [component.id, component]));
  const planned = layout.layers.map((layer) => {
    const members = layer.components.map((id) => byId.get(id) as OwnedComponent);
    const spec = chunkLayerSpec(tree, members, options.formatVersion);
    return {
      components: members,
      spec,
      key: layerKey(spec),
      changesPerYear: layerChangesPerYear(members),
    };
  });
  return {
    tree,
    components,
    commitLayer: commitLayerSpec(tree),
    // A layer without components is a place kept in the layout: it takes no blob.
    chunks: planned
      .filter(({ spec }) => spec.objects.length > 0)
      .map((chunk) => ({ ...chunk, unchanged: previous?.byKey.get(chunk.key) })),
    record: recordOf(layout, components, planned),
    changes: prior && componentChanges(prior, components),
  };
}

export interface WriteImageOptions
  extends Omit<ImageOptions, 'architecture'>,
    Omit<WriteBlobsOptions, 'repoPath'> {
  /** GOARCH; by default what the commit or its packages say. */
  readonly architecture?: string | undefined;
}

export interface WrittenImage extends AssembledImage {
  readonly layers: readonly WrittenLayer[];
}
export interface WrittenLayer extends ImageLayer, WrittenBlob {
  /** Undefined for the commit layer. */
  readonly chunk: PlannedChunk | undefined;
}

/** Writes the planned layers, reuses what did not change, and commits the image to `writer`; on failure nothing is left. */
export async function writeImage(
  plan: ImagePlan,
  writer: ImageWriter,
  options: WriteImageOptions,
): Promise<WrittenImage> {
  try {
    const { commit, repo } = plan.tree;
    const packages = plan.components.flatMap(({ facts }) => facts.packages);
    const architecture = options.architecture ?? commitArchitecture(commit.parsed, packages);
    const copied = commitLabels(commit.parsed, options);
    const commitKey = commitLayerKey(plan.commitLayer, repo.loadCommitMeta(commit.checksum)?.bytes);
    const commitBlob = {
      spec: plan.commitLayer,
      key: commitKey,
      unchanged: options.previous?.byKey.get(commitKey),
    };
    const blobs = await writeBlobs([commitBlob, ...plan.chunks], writer, {
      ...options,
      repoPath: repo.path,
    });
    const layers = blobs.map((blob, i) => writtenLayer(commit, plan.chunks[i - 1], blob));
    const chain = chainId(layers.map(({ diffId }) => diffId));
    const record = encodeRecord({ ...plan.record, chainId: chain, commitKey }, options.log);
    const labels = { ...copied, ...(record !== undefined && { [LAYOUT_LABEL]: record }) };
    const image = assembleImage(commit, layers, { ...options, architecture }, labels);
    if (options.signal.aborted) {
      throw new OstrataError('CANCELLED', 'writing the image: cancelled');
    }
    await writer.commit(image);
    return { ...image, layers };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** @param chunk undefined for the commit layer */
function writtenLayer(
  commit: CommitTree['commit'],
  chunk: PlannedChunk | undefined,
  blob: WrittenBlob,
): WrittenLayer {
  if (chunk === undefined) {
    return { ...blob, chunk, createdBy: commitDescription(commit) };
  }
  const descriptor = { ...blob.descriptor, annotations: componentsAnnotation(chunk.components) };
  return { ...blob, chunk, descriptor, createdBy: createdBy(chunk.components) };
}
