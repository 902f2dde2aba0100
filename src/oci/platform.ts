/**
 * Platforms by the names that Go uses, and the choice of an image from an index by platform:
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md
 */
import { machine } from 'node:os';
import { OstrataError } from '../errors.js';
import { MANIFEST_MEDIA_TYPES } from './media-types.js';
import type { Descriptor, ImageIndex, Platform } from './types.js';

/**
 * Machine names of rpm, the kernel and Node whose GOARCH is spelled differently
 * (https://go.dev/doc/install/source#environment).
 */
const GOARCH: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['x86_64_v2', 'amd64'],
  ['x86_64_v3', 'amd64'],
  ['x86_64_v4', 'amd64'],
  ['x64', 'amd64'],
  ['i386', '386'],
  ['i686', '386'],
  ['ia32', '386'],
  ['aarch64', 'arm64'],
  ['armv7hl', 'arm'],
  ['armv7l', 'arm'],
  ['powerpc64le', 'ppc64le'],
  ['mips64el', 'mips64le'],
  ['mipsel', 'mipsle'],
  ['loongarch64', 'loong64'],
]);
const MACHINE = /^[a-z0-9_]{2,32}$/;

/** The platform of an image to choose. */
export interface PlatformChoice {
  /** GOOS. */
  readonly os: string;
  /** GOARCH. */
  readonly architecture: string;
  /** By default, any variant fits. */
  readonly variant?: string | undefined;
}

/** Whether `name` has the form of a machine type, as rpm and the kernel write it. */
export function isMachineName(name: string): boolean {
  return MACHINE.test(name);
}

/**
 * Returns the GOARCH of a machine type. Throws `USAGE` if `name` does not have the form of one.
 */
export function goArchitecture(name: string): string {
  if (!isMachineName(name)) {
    throw new OstrataError('USAGE', `${JSON.stringify(name)} is not the name of an architecture`);
  }
  return GOARCH.get(name) ?? name;
}

/** Returns the platform of images that run on this machine. */
export function hostPlatform(): PlatformChoice {
  return { os: 'linux', architecture: goArchitecture(machine()) };
}

/**
 * Returns the first image in an index that is for `platform`. Throws `NOT_FOUND`, naming the
 * platforms of the index, if there is none.
 */
export function choosePlatform(index: ImageIndex, platform: PlatformChoice): Descriptor {
  const images = index.manifests.filter(({ mediaType }) =>
    MANIFEST_MEDIA_TYPES.includes(mediaType),
  );
  const chosen = images.find((image) => fits(image.platform, platform));
  if (chosen) {
    return chosen;
  }

  const platforms = images.flatMap((image) => image.platform ?? []);
  const names = new Set(platforms.map(platformName));
  throw new OstrataError(
    'NOT_FOUND',
    `the index has no image for ${platformName(platform)}; ` +
      `there are: ${[...names].join(', ') || 'none'}`,
  );
}

function fits(platform: Platform | undefined, wanted: PlatformChoice): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || platform.variant === wanted.variant)
  );
}

function platformName({ os, architecture, variant }: PlatformChoice): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}
