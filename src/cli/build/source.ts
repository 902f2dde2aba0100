/** What `build --from` names: an image of any transport, or a tar of a root file system. */
import { OstrataError } from '../../errors.js';
import type { Context } from '../../log.js';
import { type BaseConfig, baseConfigOfImage } from '../../oci/base-config.js';
import { type BaseImage, openBase } from '../../tree/kept-base.js';
import { imageLayers, type LayerSource } from '../../tree/layer-source.js';
import { isTarOnStdin, openTar, tarLocation } from '../../tree/tar-source.js';
import type { OpenImage } from '../options/registry.js';

export interface BuildSource {
  readonly layers: LayerSource;
  /** What the image says about itself; undefined for a tar. */
  readonly config: BaseConfig | undefined;
  /** The image that `--base` names; undefined without that option. */
  readonly base: BaseImage | undefined;
  /** Closes the images that were opened. */
  close(): Promise<void>;
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
  readonly openForReuse: OpenImage;
  /** Opens an image to read the files in its layers. */
  readonly openForReading: OpenImage;
}

/** Opens what `--from` and `--base` name; undefined without `--from`. On failure, closes it all. */
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
  return { layers, config: undefined, base: undefined, close: async () => {} };
}

async function openImages(
  from: string,
  base: string | undefined,
  { openForReuse, openForReading }: ImageOpeners,
): Promise<BuildSource> {
  const image = await openForReading(from);
  const opened = [image];
  const close = async () => {
    for (const each of opened) {
      await each.close?.();
    }
  };
  try {
    const layers = await imageLayers(image);
    const config = await baseConfigOfImage(image);
    if (base === undefined) {
      return { layers, config, base, close };
    }
    const baseImage = await openForReuse(base);
    opened.push(baseImage);
    return { layers, config, base: await openBase(baseImage, layers), close };
  } catch (error) {
    await close();
    throw error;
  }
}
