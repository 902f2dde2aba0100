/** Plans an import: which layers of an image a repository lacks. */
import { classifyLayers, holdsFiles, type ReadLayer } from '../../image/encapsulated.js';
import { OSTREE_COMMIT } from '../../oci/annotations.js';
import type { ImageReader } from '../../oci/image.js';
import { type Descriptor, type ImageConfig, parseConfig } from '../../oci/types.js';
import { encodeObjectName, isChecksum } from '../../ostree/objects/object-name.js';
import type { OstreeRepo } from '../../ostree/repo.js';
import { hasWholeCommit, partialMarker } from '../../ostree/write/partial.js';
import { hasObject } from '../../ostree/write/stage.js';
import { type KnownLayers, knownLayers, storedBlob, verifiedDiffId } from '../stored.js';

/** A layer of the image, and whether the repository has it. */
export interface LayerToImport extends ReadLayer {
  /** Index in the manifest. */
  readonly index: number;
  /** The commit that the layer was imported as; undefined if it has to be fetched. */
  readonly present: string | undefined;
}

export interface ImportPlan {
  readonly image: ImageReader;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  /** In the order of the manifest. */
  readonly layers: readonly LayerToImport[];
  /** Undefined if all layers are fetched as they are. */
  readonly delta: PlannedDelta | undefined;
  readonly counts: ImportCounts;
}

/** A delta that gives layers of the image from the files of an image that the repository has. */
export interface PlannedDelta {
  /** The delta itself. */
  readonly image: ImageReader;
  /** Checksum of the merge commit whose files it needs. */
  readonly source: string;
  /** What it has for layers, by the digest of the layer. */
  readonly blobs: ReadonlyMap<string, Descriptor>;
}

export interface ImportCounts {
  /** Number of layers that are fetched, as they are or as a delta. */
  readonly layersFetched: number;
  readonly layersPresent: number;
  /** Size of the blobs that are fetched. */
  readonly bytesFetched: number;
  /** Compressed size of the layers that are fetched: what they cost without a delta. */
  readonly bytesByLayers: number;
}

/**
 * Compares an image with what a repository has; reads only the image's manifest and config. A layer
 * is recognized by the digest of its blob, and by its diff_id if a pulled image has it: layers that
 * somebody compressed again are not fetched again.
 */
export async function planImport(repo: OstreeRepo, image: ImageReader): Promise<ImportPlan> {
  const configBytes = await image.config();
  const config = parseConfig(configBytes);
  const known = knownLayers(repo);

  const layers = classifyLayers(image.manifest, config).map((layer, index) => {
    const present = presentLayer(repo, layer, known) ?? interruptedCommit(repo, layer, config);
    return { ...layer, index, present };
  });
  const counts = countLayers(layers, undefined);
  return { image, configBytes, config, layers, delta: undefined, counts };
}

/** Returns the plan with a delta of the same image. */
export function withDelta(plan: ImportPlan, delta: PlannedDelta): ImportPlan {
  return { ...plan, delta, counts: countLayers(plan.layers, delta) };
}

/** Returns what is fetched for a layer: what the delta has for it, or its blob. */
export function blobToFetch(
  { descriptor }: Pick<ReadLayer, 'descriptor'>,
  delta: PlannedDelta | undefined,
): Descriptor {
  return delta?.blobs.get(descriptor.digest) ?? descriptor;
}

/**
 * Returns the layers that have to be fetched. A layer that occurs twice, as an empty one may, is
 * fetched once.
 */
export function layersToFetch(layers: readonly LayerToImport[]): readonly LayerToImport[] {
  const needed = new Map<string, LayerToImport>();
  for (const layer of layers) {
    const key = contentKey(layer);
    if (layer.present === undefined && !needed.has(key)) {
      needed.set(key, layer);
    }
  }
  return [...needed.values()];
}

/**
 * A text that is equal for layers that one fetch imports and verifies. The diff_id belongs to it,
 * since a config may state a false one for the second of two equal blobs.
 */
export function contentKey({ kind, descriptor, diffId }: LayerToImport): string {
  return `${kind} ${descriptor.digest} ${diffId}`;
}

function countLayers(
  layers: readonly LayerToImport[],
  delta: PlannedDelta | undefined,
): ImportCounts {
  const needed = layersToFetch(layers);
  const blobs = needed.map((layer) => blobToFetch(layer, delta));
  return {
    layersFetched: needed.length,
    layersPresent: layers.length - needed.length,
    bytesFetched: totalSize(blobs),
    bytesByLayers: totalSize(needed.map(({ descriptor }) => descriptor)),
  };
}

function totalSize(blobs: readonly Descriptor[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

/**
 * The commit that a layer was imported as; undefined if the repository does not have the layer.
 *
 * A config may lie about the diff_ids of layers that nobody fetches, so it is believed only as far
 * as it agrees with the images that were pulled. A layer of files needs more: no commit covers its
 * content, so only the diff_id that its own import computed tells what it holds.
 */
function presentLayer(repo: OstreeRepo, layer: ReadLayer, known: KnownLayers): string | undefined {
  const { diffId, descriptor } = layer;
  const sameBlob = importedBlob(repo, known, descriptor.digest, diffId);
  if (sameBlob !== undefined) {
    const { commit, verified } = sameBlob;
    // Layers of the commit, and derived layers imported by other tools, have no verified diff_id.
    if (verified === undefined || (holdsFiles(layer) && verified === diffId)) {
      return commit;
    }
  }

  const sameTar = importedBlob(repo, known, known.digests.get(diffId), diffId);
  if (sameTar !== undefined) {
    const { commit, verified } = sameTar;
    if (verified === (holdsFiles(layer) ? diffId : undefined)) {
      return commit;
    }
  }
  return undefined;
}

interface ImportedBlob {
  readonly commit: string;
  /** The diff_id that its import computed; only derived layers imported by ostrata have one. */
  readonly verified: string | undefined;
}

/**
 * Returns what a blob was imported as; undefined if it was not, or if a pulled image says that the
 * blob has another diff_id.
 */
function importedBlob(
  repo: OstreeRepo,
  { diffIds }: KnownLayers,
  digest: string | undefined,
  diffId: string,
): ImportedBlob | undefined {
  if (digest === undefined || (diffIds.get(digest) ?? diffId) !== diffId) {
    return undefined;
  }
  const commit = storedBlob(repo, digest);
  if (commit === undefined || !hasWholeCommit(repo.path, commit)) {
    return undefined;
  }
  return { commit, verified: verifiedDiffId(repo, commit) };
}

/**
 * What the marker of a partial commit says: which layer the commit came from. After an
 * interruption, the next import need not fetch that layer again.
 */
export const partialMarkerOf = ({ diffId }: ReadLayer) => `layer ${diffId}\n`;

/** The commit that an interrupted import took from this layer. */
function interruptedCommit(
  repo: OstreeRepo,
  layer: ReadLayer,
  config: ImageConfig,
): string | undefined {
  const commit = config.config?.Labels?.[OSTREE_COMMIT] ?? '';
  if (layer.kind !== 'commit' || !isChecksum(commit)) {
    return undefined;
  }
  const isMarked = partialMarker(repo.path, commit) === partialMarkerOf(layer);
  return isMarked && hasObject(repo.path, encodeObjectName(commit, 'commit')) ? commit : undefined;
}
