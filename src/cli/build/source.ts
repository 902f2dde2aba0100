/** What `build --from` names: an image of any transport, or a tar of a root file system. */
import { OstrataError } from '../../errors.js';
import type { Context } from '../../log.js';
import { BASE_DIGEST, BASE_NAME } from '../../oci/annotations.js';
import { type BaseConfig, baseConfigOfImage } from '../../oci/base-config.js';
import { checkHoldsIndexes } from '../../transports/image-reference.js';
import { type BaseImage, openBase } from '../../tree/kept-base.js';
import { imageLayers, type LayerSource } from '../../tree/layer-source.js';
import { isTarOnStdin, openTar, tarLocation } from '../../tree/tar-source.js';
import { AUTO } from '../container/previous-build.js';
import type { OpenImage } from '../options/registry.js';

export interface BuildSource {
  readonly layers: LayerSource;
  /** What the image says about itself; undefined for a tar. */
  readonly config: BaseConfig | undefined;
  /** The image that `--base` names; undefined without that option. */
  readonly base: BaseImage | undefined;
}

interface SourceOptions {
  readonly from?: string | undefined;
  readonly base?: string | undefined;
  readonly allPlatforms?: boolean | undefined;
  readonly creds?: string | undefined;
}

/**
 * Throws `USAGE` if `--from` would read a tar where none can come from, or if other options need an
 * image that it does not name, and `UNSUPPORTED` if an index cannot be at `destination`.
 */
export function checkSource(
  { from, base, allPlatforms, creds }: SourceOptions,
  destination: string,
): void {
  const isImage = from !== undefined && tarLocation(from) === undefined;
  if (base !== undefined && !isImage) {
    throw new OstrataError('USAGE', '--base needs --from IMGREF, the image that begins with it');
  }
  if (allPlatforms) {
    if (!isImage) {
      throw new OstrataError('USAGE', '--all-platforms needs --from IMGREF, an index of images');
    }
    checkHoldsIndexes(from);
    checkHoldsIndexes(destination);
  }
  if (!isTarOnStdin(from)) {
    return;
  }
  if (creds === '-') {
    throw new OstrataError('USAGE', '--from tar:- and --creds=- both read standard input');
  }
  if (process.stdin.isTTY) {
    throw new OstrataError(
      'USAGE',
      'standard input is a terminal: pipe a tar into it, e.g. that of `podman export`',
    );
  }
}

interface ImageOpeners extends Pick<Context, 'signal'> {
  /** Opens an image to reuse its layers. */
  readonly openForReuse: OpenImage;
  /** Opens an image to read the files in its layers. */
  readonly openForReading: OpenImage;
}

/** Opens what `--from` and `--base` name; undefined without `--from`. */
export async function openSource(
  { from, base }: SourceOptions,
  openers: ImageOpeners,
): Promise<BuildSource | undefined> {
  if (from === undefined) {
    return undefined;
  }
  const location = tarLocation(from);
  if (location === undefined) {
    return openImages(from, base, openers);
  }
  const layers = await openTar(location, { stdin: process.stdin, signal: openers.signal });
  return { layers, config: undefined, base: undefined };
}

async function openImages(
  from: string,
  base: string | undefined,
  { openForReuse, openForReading }: ImageOpeners,
): Promise<BuildSource> {
  const image = await openForReading(from);
  const layers = await imageLayers(image);
  const config = await baseConfigOfImage(image);
  if (base === undefined) {
    return { layers, config, base };
  }
  const reference = base === AUTO ? recordedBase(from, config) : base;
  const baseImage = await openForReuse(reference);
  return { layers, config, base: await openBase(baseImage, layers) };
}

/**
 * Returns the reference of the image that `from` was built from, as buildah and podman record it.
 * Throws `NOT_FOUND` if nothing is recorded.
 */
function recordedBase(from: string, { annotations, labels }: BaseConfig): string {
  const recorded = BASE_NAME in annotations ? annotations : labels;
  const name = recorded[BASE_NAME];
  const digest = recorded[BASE_DIGEST];
  if (!name) {
    const rule = `${from} does not say in its annotation ${BASE_NAME} what it was built from`;
    throw new OstrataError('NOT_FOUND', `${rule}; --base IMGREF names that image`);
  }
  // The tag may have moved since.
  return digest ? `registry:${name}@${digest}` : `registry:${name}`;
}
