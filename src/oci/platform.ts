/** Chooses the image of one platform from an index: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
import { OstrataError } from '../errors.js';
import { MANIFEST_MEDIA_TYPES } from './media-types.js';
import type { Descriptor, ImageIndex } from './types.js';

/** Names as Go has them (GOOS, GOARCH). */
export interface PlatformChoice {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** The first image for `platform`; `NOT_FOUND`, naming what there is, if none is. */
export function choosePlatform(index: ImageIndex, platform: PlatformChoice): Descriptor {
  const images = index.manifests.filter(({ mediaType }) => MANIFEST_MEDIA_TYPES.includes(mediaType));
  const found = images.find(
    ({ platform: its }) =>
      its?.os === platform.os &&
      its.architecture === platform.architecture &&
      (platform.variant === undefined || its.variant === platform.variant),
  );
  if (found) return found;
  const known = images.flatMap((image) => image.platform ?? []).map(platformName);
  throw new OstrataError(
    'NOT_FOUND',
    `the index has no image for ${platformName(platform)}; there are: ${[...new Set(known)].join(', ') || 'none'}`,
  );
}

function platformName({ os, architecture, variant }: NonNullable<Descriptor['platform']>): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}
