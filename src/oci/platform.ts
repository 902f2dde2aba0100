/** Platforms by their Go names, and the choice of one from an image index: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
import { OstrataError } from '../errors.js';
import { MANIFEST_MEDIA_TYPES } from './media-types.js';
import type { Descriptor, ImageIndex } from './types.js';

/** Machine names of rpm and the kernel that GOARCH (https://go.dev/doc/install/source#environment) spells otherwise. */
const GOARCH: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  x86_64_v2: 'amd64',
  x86_64_v3: 'amd64',
  x64: 'amd64',
  i386: '386',
  i686: '386',
  ia32: '386',
  aarch64: 'arm64',
  armv7hl: 'arm',
  powerpc64le: 'ppc64le',
  mips64el: 'mips64le',
  mipsel: 'mipsle',
  loong64: 'loong64',
  loongarch64: 'loong64',
};
const MACHINE = /^[a-z0-9_]{2,32}$/;

/** Names as Go has them (GOOS, GOARCH). */
export interface PlatformChoice {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Whether `name` can be the name of a machine type, as rpm and the kernel spell them. */
export function isMachineName(name: string): boolean {
  return MACHINE.test(name);
}

/** The GOARCH of a machine name; `USAGE` for what cannot be one. */
export function goArchitecture(machine: string): string {
  if (!isMachineName(machine)) {
    throw new OstrataError('USAGE', `${JSON.stringify(machine)} is no architecture`);
  }
  return (Object.hasOwn(GOARCH, machine) && GOARCH[machine]) || machine;
}

/** What an image has to be made for to run here. */
export function hostPlatform(): PlatformChoice {
  return { os: 'linux', architecture: goArchitecture(process.arch) };
}

/** The first image for `platform`; `NOT_FOUND`, naming what there is, if none is. */
export function choosePlatform(index: ImageIndex, platform: PlatformChoice): Descriptor {
  const images = index.manifests.filter(({ mediaType }) =>
    MANIFEST_MEDIA_TYPES.includes(mediaType),
  );
  const found = images.find(
    ({ platform: its }) =>
      its?.os === platform.os &&
      its.architecture === platform.architecture &&
      (platform.variant === undefined || its.variant === platform.variant),
  );
  if (found) {
    return found;
  }
  const known = images.flatMap((image) => image.platform ?? []).map(platformName);
  throw new OstrataError(
    'NOT_FOUND',
    `the index has no image for ${platformName(platform)}; there are: ${[...new Set(known)].join(', ') || 'none'}`,
  );
}

function platformName({ os, architecture, variant }: NonNullable<Descriptor['platform']>): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}
