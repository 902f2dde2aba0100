/** Layers that are to be read: those of an image, or a tar that is a whole root file system. */
import type { ByteStream } from '../bytes/stream.js';
import { must, OstrataError } from '../errors.js';
import type { ImageReader } from '../oci/image.js';
import { parseConfig } from '../oci/types.js';
import type { StatedBlob } from '../oci/validate.js';
import type { FileMap } from './file-map.js';

export interface SourceLayer {
  /** Its index in the manifest. */
  readonly index: number;
  readonly blob: StatedBlob;
  /** Undefined if nothing states it. */
  readonly diffId: string | undefined;
}

export interface LayerSource {
  /** The image reference, for messages. */
  readonly name: string;
  /** The lowest first. */
  readonly layers: readonly SourceLayer[];
  /** Whether its only layer is a tar of a whole root file system and not of an image. */
  readonly isRootFileSystem: boolean;
  /** Returns what messages call a layer. */
  layerName(layer: SourceLayer): string;
  /** Streams the blob of a layer. What comes through a pipe can be streamed only once. */
  stream(layer: SourceLayer): ByteStream;
  /** Returns the file that holds the blob of a layer; undefined if there is none. */
  file(layer: SourceLayer): string | undefined;
  /** Throws `UNSUPPORTED` if the files that were read are not a root file system. */
  check?(files: FileMap): void;
}

/**
 * Returns the layers of an image. Throws `CORRUPT` if its config does not have a diffId for each.
 */
export async function imageLayers(image: ImageReader): Promise<LayerSource> {
  const { name } = image;
  const descriptors = image.manifest.layers;
  const { rootfs } = parseConfig(await image.config());
  const diffIds = rootfs.diff_ids;
  if (diffIds.length !== descriptors.length) {
    throw new OstrataError(
      'CORRUPT',
      `reading ${name}: ${descriptors.length} layers and ${diffIds.length} diff_ids`,
    );
  }
  const descriptorOf = ({ index }: SourceLayer) => must(descriptors[index], `layer ${index}`);
  return {
    name,
    layers: descriptors.map((blob, index) => ({ index, blob, diffId: diffIds[index] })),
    isRootFileSystem: false,
    layerName: ({ index, blob }) => `${name}: layer ${index} (${blob.digest})`,
    stream: (layer) => image.blob(descriptorOf(layer)),
    file: (layer) => image.blobFile(descriptorOf(layer)),
  };
}
