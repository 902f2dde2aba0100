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
 * Returns the first image in an index that is for `platform`, if possible for exactly its variant.
 * Throws `NOT_FOUND`, naming the platforms of the index, if there is none.
 */
export function choosePlatform(index: ImageIndex, platform: PlatformChoice): Descriptor {
  const images = imagesIn(index);
  const fitting = images.filter((image) => fits(image.platform, platform));
  const exact = fitting.find((image) => image.platform?.variant === platform.variant);
  const chosen = exact ?? fitting[0];
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

/** Whether an index has an image for `platform`. */
export function hasPlatform(index: ImageIndex, platform: PlatformChoice): boolean {
  return imagesIn(index).some((image) => fits(image.platform, platform));
}

function imagesIn({ manifests }: ImageIndex): readonly Descriptor[] {
  return manifests.filter(({ mediaType }) => MANIFEST_MEDIA_TYPES.includes(mediaType));
}

/** An image that an index lists. */
export interface IndexedImage {
  readonly manifest: Descriptor;
  readonly platform: Platform;
}

/** BuildKit lists what it states about images as images for the platform `unknown/unknown`. */
const REFERENCE_TYPE = 'vnd.docker.reference.type';
const UNKNOWN = 'unknown';

/**
 * Returns the images of an index, the first one for each platform; at least one. Throws
 * `UNSUPPORTED` for an entry that is no image of a platform, and `NOT_FOUND` if there is no image.
 * @param name the reference of the index, for messages
 * @param warn called with what is left out
 */
export function imagesOfIndex(
  index: ImageIndex,
  name: string,
  warn: (message: string) => void,
): readonly IndexedImage[] {
  const images = new Map<string, IndexedImage>();
  let attestationCount = 0;
  for (const manifest of index.manifests) {
    const { mediaType, digest, platform, annotations = {} } = manifest;
    if (REFERENCE_TYPE in annotations || platform?.os === UNKNOWN) {
      attestationCount++;
      continue;
    }
    if (platform === undefined || !MANIFEST_MEDIA_TYPES.includes(mediaType)) {
      const rule = `${digest} (${mediaType}) is no image with a platform`;
      throw new OstrataError('UNSUPPORTED', `reading ${name}: its entry ${rule}`);
    }
    const key = JSON.stringify(platform);
    if (images.has(key)) {
      warn(`${name}: ${digest} is left out, a further image for ${platformName(platform)}`);
    } else {
      images.set(key, { manifest, platform });
    }
  }
  if (attestationCount > 0) {
    warn(`${name}: ${attestationCount} attestations about its images are left out`);
  }
  if (images.size === 0) {
    throw new OstrataError('NOT_FOUND', `reading ${name}: the index has no image`);
  }
  return [...images.values()];
}

function fits(platform: Platform | undefined, wanted: PlatformChoice): boolean {
  return (
    platform?.os === wanted.os &&
    platform.architecture === wanted.architecture &&
    (wanted.variant === undefined || variantOf(platform) === wanted.variant)
  );
}

/** Of arm64 there is one variant in use, which many images do not state. */
function variantOf({ architecture, variant }: Platform): string | undefined {
  return architecture === 'arm64' ? (variant ?? 'v8') : variant;
}

/** Returns `OS/ARCH[/VARIANT]`. */
export function platformName({ os, architecture, variant }: PlatformChoice): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}
