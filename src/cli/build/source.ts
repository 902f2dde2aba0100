/** What `build --from` names: an image of any transport, or a tar of a root file system. */
import { OstrataError } from '../../errors.js';
import type { Context } from '../../log.js';
import { type BaseConfig, baseConfigOfImage } from '../../oci/base-config.js';
import type { ImageReader } from '../../oci/image.js';
import { type BaseImage, openBase } from '../../tree/kept-base.js';
import { imageLayers, type LayerSource } from '../../tree/layer-source.js';
import { isTarOnStdin, openTar, tarLocation } from '../../tree/tar-source.js';
import type { OpenImage } from '../options/registry.js';

export interface BuildSource {
  readonly layers: LayerSource;
  /** Undefined for a tar. */
  readonly image: ImageReader | undefined;
  /** What the image says about itself. */
  readonly config: BaseConfig | undefined;
  /** The image that `--base` names; undefined without that option. */
  readonly base: BaseImage | undefined;
}

interface SourceOptions {
  readonly from?: string | undefined;
  readonly base?: string | undefined;
  readonly creds?: string | undefined;
}

/**
 * Throws `USAGE` if `--from` would read a tar where none can come from, or if `--base` has no image
 * that begins with it.
 */
export function checkSource({ from, base, creds }: SourceOptions): void {
  if (base !== undefined && (from === undefined || tarLocation(from) !== undefined)) {
    throw new OstrataError('USAGE', '--base needs --from IMGREF, the image that begins with it');
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
  readonly open: OpenImage;
  /** Opens an image to read the files in its layers. */
  readonly openSource: OpenImage;
}

/** Opens what `--from` and `--base` name; undefined without `--from`. */
export async function openSource(
  { from, base }: SourceOptions,
  { open, openSource, signal }: ImageOpeners,
): Promise<BuildSource | undefined> {
  if (from === undefined) {
    return undefined;
  }
  const location = tarLocation(from);
  if (location !== undefined) {
    const layers = await openTar(location, { stdin: process.stdin, signal });
    return { layers, image: undefined, config: undefined, base: undefined };
  }
  const image = await openSource(from);
  const layers = await imageLayers(image);
  return {
    layers,
    image,
    config: await baseConfigOfImage(image),
    base: base === undefined ? undefined : await openBase(await open(base), layers),
  };
}
