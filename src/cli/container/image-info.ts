/** What the commands that describe images share: references, options, reading. */
import { inContextAsync } from '../../errors.js';
import {
  type DescribedImage,
  describeImage,
  isPlain,
  type ReadLayer,
} from '../../image/encapsulated.js';
import type { Logger } from '../../log.js';
import * as annotation from '../../oci/annotations.js';
import type { OpenImage, RegistryOptions } from '../options/registry.js';
import type { LogOptions } from '../output/terminal.js';

export const IMGREF_HELP =
  'TRANSPORT:..., such as registry:IMAGE or oci:DIR:TAG; a prefix that says how the image is ' +
  'verified, such as ostree-unverified-image:, is accepted and ignored';

export interface InfoOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
}

export interface ImageInfo extends DescribedImage {
  readonly manifestDigest: string;
  readonly configDigest: string;
}

/** Reads the manifest and the config. */
export async function readImageInfo(
  imgref: string,
  open: OpenImage,
  log: Logger,
): Promise<ImageInfo> {
  const image = await open(imgref);
  try {
    const described = await inContextAsync(`reading ${imgref}`, () => describeImage(image, log));
    const { manifestDigest, manifest } = image;
    return { manifestDigest, configDigest: manifest.config.digest, ...described };
  } finally {
    await image.close?.();
  }
}

/** Returns the checksum that the image's label states; undefined for a plain image. */
export function commitOf({ labels, layers }: ImageInfo): string | undefined {
  return isPlain(layers) ? undefined : (labels[annotation.OSTREE_COMMIT] ?? 'unknown');
}

export function commitText(image: ImageInfo): string {
  return commitOf(image) ?? 'none: this is a plain image';
}

/** Returns the compressed size. */
export function sizeOf(layers: readonly ReadLayer[]): number {
  return layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
}
