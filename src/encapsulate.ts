/** An ostree commit in, an OCI image of at most N layers out: tree -> components -> layout -> layers -> image -> transport. */
import { join } from 'node:path';
import { assignComponents, type OwnedComponent } from './components/assign.js';
import { loadClaims } from './components/load.js';
import { layerChangesPerYear } from './components/rates.js';
import { OstrataError } from './errors.js';
import { commitArchitecture } from './image/architecture.js';
import {
  type AssembledImage,
  assembleImage,
  commitDescription,
  commitLabels,
  componentsAnnotation,
  createdBy,
  type ImageLayer,
  type ImageOptions,
  LAYER_MEDIA_TYPES,
} from './image/config.js';
import type { PreviousBuild, PreviousLayer } from './image/previous.js';
import type { BlobResult } from './layers/blob.js';
import type { BlobCache } from './layers/cache.js';
import { type Compression, compressionKey } from './layers/compress.js';
import { writeLayers } from './layers/pool.js';
import {
  type ChunkLayerSpec,
  type CommitLayerSpec,
  chunkLayerSpec,
  commitLayerKey,
  commitLayerSpec,
  type FormatVersion,
  type LayerSpec,
  layerKey,
} from './layers/spec.js';
import { type ComponentChange, componentChanges } from './layout/changes.js';
import { planLayout } from './layout/plan.js';
import type { PriorBuild } from './layout/prior.js';
import { encodeRecord, LAYOUT_LABEL, recordOf } from './layout/record.js';
import type { Logger } from './log.js';
import { chainId } from './oci/chain-id.js';
import { openRepo } from './ostree/repo.js';
import type { ContentSource, LayoutStrategy } from './plugin.js';
import type { ImageWriter } from './transports/transport.js';
import { type CommitTree, openCommitTree } from './tree/ostree.js';

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
  readonly maxLayerSize?: number;
  readonly formatVersion: FormatVersion;
  readonly previous?: PreviousBuild;
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
  readonly record: PriorBuild;
  /** What changed since the previous build; undefined without one. */
  readonly changes: readonly ComponentChange[] | undefined;
}
export interface PlannedChunk {
  readonly components: readonly OwnedComponent[];
  readonly spec: ChunkLayerSpec;
  /** See {@link layerKey}. */
  readonly key: string;
  /** Expected changes a year; Infinity: in every build. */
  readonly changesPerYear: number;
  /** The layer of the previous build with the same bytes. */
  readonly unchanged: PreviousLayer | undefined;
}

/** Decides which layer holds what. Reads metadata and the package database, no other content. */
export async function planImage(options: PlanImageOptions): Promise<ImagePlan> {
  const { log, signal, previous } = options;
  const repo = openRepo(options.repo);
  const tree = openCommitTree(repo, repo.resolve(options.ref), log);
  const components = await assignComponents(tree, await loadClaims(tree, options.sources, { log, signal }));
  if (!components.some(({ facts }) => facts.packages.length > 0))
    log.warn(`${tree.name} has no package database that is understood: layers follow directories and large files only`);

  const prior = previous?.prior(components);
  const layout = planLayout(components, options.strategy, {
    maxLayers: options.maxLayers - 1,
    ...(options.maxLayerSize !== undefined && { maxLayerSize: options.maxLayerSize }),
    ...(prior && { prior }),
    log,
  });
  const byId = new Map(components.map((component) => [component.id, component]));
  const planned = layout.layers.map((layer) => {
    const members = layer.components.map((id) => byId.get(id) as OwnedComponent);
    const spec = chunkLayerSpec(tree, members, options.formatVersion);
    return { components: members, spec, key: layerKey(spec), changesPerYear: layerChangesPerYear(members) };
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

export interface WriteImageOptions extends Omit<ImageOptions, 'architecture'> {
  /** GOARCH; by default what the commit or its packages say. */
  readonly architecture?: string;
  readonly compression: Compression;
  /** Worker threads. */
  readonly jobs: number;
  readonly previous?: PreviousBuild;
  /** Blobs of earlier builds, of any image. */
  readonly cache?: BlobCache;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface WrittenImage extends AssembledImage {
  readonly layers: readonly WrittenLayer[];
}
export interface WrittenLayer extends ImageLayer {
  /** Undefined for the commit layer. */
  readonly chunk: PlannedChunk | undefined;
  /** The blob is the previous build's: clients that have it fetch nothing. */
  readonly reused: boolean;
}

/** Writes the planned layers, reuses what did not change, and commits the image to `writer`; on failure nothing is left. */
export async function writeImage(
  plan: ImagePlan,
  writer: ImageWriter,
  options: WriteImageOptions,
): Promise<WrittenImage> {
  try {
    const { commit } = plan.tree;
    const packages = plan.components.flatMap(({ facts }) => facts.packages);
    const architecture = options.architecture ?? commitArchitecture(commit.parsed, packages);
    const copied = commitLabels(commit.parsed, options);
    const layers = await writeBlobs(plan, writer, options);
    const record = encodeRecord({ ...plan.record, chainId: chainId(layers.map(({ diffId }) => diffId)) }, options.log);
    const labels = { ...copied, ...(record !== undefined && { [LAYOUT_LABEL]: record }) };
    const image = assembleImage(commit, layers, { ...options, architecture }, labels);
    if (options.signal.aborted) throw new OstrataError('CANCELLED', 'writing the image: cancelled');
    await writer.commit(image);
    return { ...image, layers };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function commitKey({ tree: { repo, commit }, commitLayer }: ImagePlan): string {
  return commitLayerKey(commitLayer, repo.loadCommitMeta(commit.checksum)?.bytes);
}

/** A layer at its place in the image; without a chunk it is the commit layer. */
interface PlacedLayer {
  readonly chunk: PlannedChunk | undefined;
  readonly spec: LayerSpec;
}

/** The layers in image order, their blobs in the hands of `writer`. */
async function writeBlobs(plan: ImagePlan, writer: ImageWriter, options: WriteImageOptions): Promise<WrittenLayer[]> {
  const { compression, previous, cache, log } = options;
  const layers: readonly PlacedLayer[] = [
    { chunk: undefined, spec: plan.commitLayer },
    ...plan.chunks.map((chunk) => ({ chunk, spec: chunk.spec })),
  ];
  const blobKey = ({ chunk }: PlacedLayer) => `${chunk?.key ?? commitKey(plan)}-${compressionKey(compression)}`;
  const finished = new Map<LayerSpec, WrittenLayer>();
  const finish = async ({ chunk, spec }: PlacedLayer, blob?: BlobResult & { readonly path: string }) => {
    const same = chunk?.unchanged ?? previous?.byDiffId.get(blob?.diffId ?? '');
    const { diffId, mediaType, digest, size } = same
      ? { ...same.descriptor, diffId: same.diffId }
      : { ...(blob as BlobResult), mediaType: LAYER_MEDIA_TYPES[compression.name] };
    const descriptor = { mediaType, digest, size };
    if (same && previous?.image) await writer.reuse(descriptor, previous.image);
    else if (blob) await writer.adopt(blob.path, descriptor);
    finished.set(spec, {
      chunk,
      diffId,
      descriptor: chunk ? { ...descriptor, annotations: componentsAnnotation(chunk.components) } : descriptor,
      createdBy: chunk ? createdBy(chunk.components) : commitDescription(plan.tree.commit),
      reused: same !== undefined,
    });
  };

  const missing: StagedLayer[] = [];
  for (const [i, layer] of layers.entries()) {
    const path = join(writer.stagingDirectory, `layer-${i}`);
    const cached = layer.chunk?.unchanged ? undefined : cache?.take(blobKey(layer), path);
    if (layer.chunk?.unchanged || cached) await finish(layer, cached && { ...cached, path });
    else missing.push({ ...layer, path });
  }
  log.info(
    `${layers.length - missing.length} layers are known from earlier builds, ${missing.length} are to be written`,
  );
  await writeMissing(missing, plan.tree.repo.path, options, async (layer, blob) => {
    cache?.add(blobKey(layer), layer.path, blob);
    await finish(layer, { ...blob, path: layer.path });
  });
  cache?.trim();
  return layers.map(({ spec }) => finished.get(spec) as WrittenLayer);
}

/** A layer, and the file that is to hold its blob. */
interface StagedLayer extends PlacedLayer {
  readonly path: string;
}

async function writeMissing(
  layers: readonly StagedLayer[],
  repoPath: string,
  { compression, jobs, log, signal }: WriteImageOptions,
  finish: (layer: StagedLayer, blob: BlobResult) => Promise<void>,
): Promise<void> {
  const total = layers.reduce((sum, { spec }) => sum + (spec.kind === 'chunk' ? spec.contentSize : 0), 0);
  let done = 0;
  const onProgress = (bytes: number) => {
    done += bytes;
    log.progress('writing layers', Math.min(done, total), total);
  };
  const onWritten = (i: number, blob: BlobResult) => finish(layers[i] as StagedLayer, blob);
  const tasks = layers.map(({ spec, path }) => ({ spec, path })); // what is told to a thread is copied
  await writeLayers(tasks, { repoPath, compression, jobs, signal, onProgress, onWritten });
}
