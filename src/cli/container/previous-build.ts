/** Opens the builds that a new image follows or is compared with. */
import {
  type PreviousBuild,
  previousFromImages,
  previousFromManifest,
} from '../../builder/previous.js';
import { type ErrorCode, OstrataError } from '../../errors.js';
import type { Context, Logger } from '../../log.js';
import { hasPlatform, type PlatformChoice, platformName } from '../../oci/platform.js';
import type { ImageIndex } from '../../oci/types.js';
import type { ContentSource } from '../../plugin.js';
import type { ImageReader } from '../../transports/transport.js';
import type { OpenImage } from '../options/registry.js';
import type { PreviousBuildOptions } from './encapsulate-options.js';

/** Opens an image to follow; undefined if there is none for the platform that is built. */
type OpenFollowed = (imgref: string) => Promise<ImageReader | undefined>;

/**
 * The value of `--previous-build` that stands for the image at the destination, and that of
 * `--base` that stands for the image that was recorded as the base.
 */
export const AUTO = 'auto';

/** Opens the build that the new image follows; undefined if there is none. */
export async function openPreviousBuild(
  destination: string,
  options: PreviousBuildOptions,
  sources: readonly ContentSource[],
  open: OpenFollowed,
  { log }: Pick<Context, 'log'>,
): Promise<PreviousBuild | undefined> {
  const { previousBuild: imgrefs, previousBuildManifest: manifest, isPreviousOptional } = options;
  if (imgrefs === undefined) {
    return manifest === undefined ? undefined : previousFromManifest(manifest, log);
  }
  const images: ImageReader[] = [];
  for (const imgref of imgrefs) {
    const name = imgref === AUTO ? destination : imgref;
    const isOptional = imgref === AUTO || isPreviousOptional;
    const image = isOptional ? await openIfThere(name, open, log) : await open(name);
    if (image !== undefined) {
      images.push(image);
    }
  }
  const readComponents = async (image: ImageReader) => {
    const { buildOfImageReader } = await import('../layout/series.js');
    const { components } = await buildOfImageReader(image, { sources, log });
    return components;
  };
  return images.length === 0 ? undefined : previousFromImages(images, readComponents, log);
}

/** What is wrong with an image at a place where one may be: there is none, or no single one. */
const NO_IMAGE: readonly ErrorCode[] = ['NOT_FOUND', 'AMBIGUOUS', 'CORRUPT', 'UNSUPPORTED'];

/** Opens the image at `imgref`. Undefined if there is none, or after a warning if it is broken. */
async function openIfThere(
  imgref: string,
  open: OpenFollowed,
  log: Logger,
): Promise<ImageReader | undefined> {
  try {
    return await open(imgref);
  } catch (error) {
    if (!(error instanceof OstrataError && NO_IMAGE.includes(error.code))) {
      throw error;
    }
    if (error.code === 'NOT_FOUND') {
      log.info(`no previous build at ${imgref}: the layout is planned anew`);
    } else {
      log.warn(`the layout is planned anew, because there is no previous build: ${error.message}`);
    }
    return undefined;
  }
}

interface IndexReader extends Pick<Context, 'log'> {
  readIndex(imgref: string): Promise<ImageIndex | undefined>;
}

/**
 * Opens an image; undefined, after a warning, if it is an index without an image for `platform`.
 * That platform is new then.
 * @param platform undefined if any will do
 */
export async function openIfForPlatform(
  imgref: string,
  platform: PlatformChoice | undefined,
  open: OpenImage,
  { readIndex, log }: IndexReader,
): Promise<ImageReader | undefined> {
  const index = platform && (await readIndex(imgref));
  if (platform && index && !hasPlatform(index, platform)) {
    log.warn(`${imgref} has no image for ${platformName(platform)} to follow`);
    return undefined;
  }
  return open(imgref);
}
