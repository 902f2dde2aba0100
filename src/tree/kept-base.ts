/** A base image: the image that another one begins with, and whose layers it keeps as they are. */
import { must, OstrataError } from '../errors.js';
import type { ImageReader } from '../oci/image.js';
import { ociLayerMediaType } from '../oci/media-types.js';
import { type Descriptor, type HistoryEntry, type ImageConfig, parseConfig } from '../oci/types.js';
import type { FileMap } from './file-map.js';
import { type FlattenedImage, flattenLayers } from './flatten.js';
import type { IndexedEntry } from './layer-index.js';
import { imageLayers, type LayerSource } from './layer-source.js';
import type { TreePath } from './tree.js';

export interface BaseLayer {
  /** As the manifest of the new image has it. */
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface BaseImage {
  /** The image with the blobs. */
  readonly image: ImageReader;
  readonly layers: readonly BaseLayer[];
  /** The history of these layers, with entries that have none. */
  readonly history: readonly HistoryEntry[];
  readonly labels: ReadonlyMap<string, string>;
}

/** A base image, and what its layers hold. */
export interface KeptBase extends BaseImage {
  readonly files: FileMap;
  /** For each layer, the bytes of its regular files. */
  readonly contentSizes: readonly number[];
  /** Devices, pipes and sockets of the base that the tree above it does not have. */
  readonly removedSpecialFiles: readonly TreePath[];
}

/**
 * Reads manifest and config of `base`. Throws `UNSUPPORTED` unless `image` begins with its layers;
 * how they are compressed may differ.
 */
export async function openBase(base: ImageReader, image: LayerSource): Promise<BaseImage> {
  const config = parseConfig(await base.config());
  const { layers } = await imageLayers(base);
  for (const { index, diffId } of layers) {
    const found = image.layers[index]?.diffId;
    if (found !== diffId) {
      const difference = found === undefined ? 'is missing there' : `is ${found} there`;
      throw new OstrataError(
        'UNSUPPORTED',
        `${image.name} does not begin with the layers of ${base.name}: ` +
          `layer ${index}, ${diffId}, ${difference}; ` +
          'the base has to be the image that the other one was built from, in that very version',
      );
    }
  }
  return {
    image: base,
    layers: base.manifest.layers.map((descriptor, i) => ({
      descriptor: ociDescriptor(descriptor),
      diffId: must(layers[i]?.diffId, `diff_id ${i}`),
    })),
    history: historyOf(config, layers.length),
    labels: new Map(Object.entries(config.config?.Labels ?? {})),
  };
}

/** The new image has an OCI manifest, even if that of the base is Docker's. */
function ociDescriptor(descriptor: Descriptor): Descriptor {
  const mediaType = ociLayerMediaType(descriptor.mediaType);
  return { ...descriptor, mediaType };
}

/**
 * Returns the base with what its layers hold.
 * @param indexes the entries of all layers of the image that begins with the base
 * @param flattened the tree of that image
 */
export function keepBase(
  base: BaseImage,
  indexes: readonly (readonly IndexedEntry[])[],
  { specialFiles }: FlattenedImage,
): KeptBase {
  const count = base.layers.length;
  const lowerIndexes = indexes.slice(0, count);
  const lower = flattenLayers(lowerIndexes);
  const isKept = (path: TreePath) => (specialFiles.get(path) ?? count) < count;
  const removedSpecialFiles = [...lower.specialFiles.keys()].filter((path) => !isKept(path));
  return {
    ...base,
    files: lower.files,
    contentSizes: lowerIndexes.map(contentSizeOf),
    removedSpecialFiles,
  };
}

function contentSizeOf(entries: readonly IndexedEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0);
}

/**
 * Programs pair layers with the entries of the history that have one, so a history that does not
 * fit the layers is replaced by one that says nothing.
 */
function historyOf({ history }: ImageConfig, layerCount: number): readonly HistoryEntry[] {
  const entries = history ?? [];
  const withLayer = entries.filter(({ empty_layer }) => empty_layer !== true);
  const isFitting = withLayer.length === layerCount;
  return isFitting ? entries : Array.from({ length: layerCount }, () => ({ created_by: '' }));
}
