/** What `build --from` names: an image of any transport, or a tar of a root file system. */
import { OstrataError } from '../../errors.js';
import type { Context } from '../../log.js';
import { type BaseConfig, baseConfigOfImage } from '../../oci/base-config.js';
import type { ImageReader } from '../../oci/image.js';
import { imageLayers, type LayerSource } from '../../tree/layer-source.js';
import { isTarOnStdin, openTar, tarLocation } from '../../tree/tar-source.js';
import type { OpenImage } from '../options/registry.js';

export interface BuildSource {
  readonly layers: LayerSource;
  /** Undefined for a tar. */
  readonly image: ImageReader | undefined;
  /** What the image says about itself. */
  readonly config: BaseConfig | undefined;
}

interface SourceOptions {
  readonly from?: string | undefined;
  readonly creds?: string | undefined;
}

/** Throws `USAGE` if `--from` would read a tar where none can come from. */
export function checkSource({ from, creds }: SourceOptions): void {
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

/** Opens what `--from` names; undefined without that option. */
export async function openSource(
  from: string | undefined,
  { openSource: open, signal }: Context & { readonly openSource: OpenImage },
): Promise<BuildSource | undefined> {
  if (from === undefined) {
    return undefined;
  }
  const location = tarLocation(from);
  if (location !== undefined) {
    const layers = await openTar(location, { stdin: process.stdin, signal });
    return { layers, image: undefined, config: undefined };
  }
  const image = await open(from);
  return {
    layers: await imageLayers(image),
    image,
    config: await baseConfigOfImage(image),
  };
}
