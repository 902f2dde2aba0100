import type { Command } from 'commander';
import { parseOstreeImgref } from '../../client/verify/ostree-image-reference.js';
import { type ReadLayer, readEncapsulated } from '../../image/encapsulated.js';
import type { Logger } from '../../log.js';
import * as annotation from '../../oci/annotations.js';
import { useOptions } from '../options/groups.js';
import {
  imageOpener,
  type OpenImage,
  type RegistryOptions,
  registryOptions,
} from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { formatBytes, printable } from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';

export const IMGREF_HELP =
  'TRANSPORT:..., also with ostree-unverified-image: and the like in front';

export interface InfoOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
}

export function addInfoCommand(container: Command): void {
  const command = container
    .command('info')
    .summary('what an image is: digest, commit, version, size')
    .argument('<imgref>', IMGREF_HELP)
    .option('--json', 'print it as JSON')
    .action(async (text: string, options: InfoOptions) => {
      const imgref = plainImgref(text);
      const log = terminalLogger(options);
      const { manifestDigest, labels, layers } = await readImage(
        imgref,
        imageOpener(options, [imgref], log),
        log,
      );
      const {
        [annotation.OSTREE_COMMIT]: commit,
        [annotation.IMAGE_VERSION]: version = labels.version,
      } = labels;
      const size = sizeOf(layers);
      const derivedLayers = layers.filter(({ kind }) => kind === 'derived').length;
      if (options.json) {
        console.log(
          JSON.stringify({
            manifestDigest,
            commit,
            version,
            layers: layers.length,
            derivedLayers,
            size,
            labels,
          }),
        );
        return;
      }
      console.log(
        `image:   ${text}\ndigest:  ${manifestDigest}\ncommit:  ${printable(commit ?? 'unknown')}`,
      );
      if (version !== undefined) {
        console.log(`version: ${printable(version)}`);
      }
      console.log(
        `layers:  ${layers.length}${derivedLayers > 0 ? `, ${derivedLayers} of them derived` : ''}`,
      );
      console.log(`size:    ${formatBytes(size)}`);
    });
  useOptions(command, [registryOptions, logOptions]);
}

/** Compressed bytes. */
export const sizeOf = (layers: readonly ReadLayer[]) =>
  layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);

/** Without what a client is to verify. */
export const plainImgref = (text: string) =>
  text.startsWith('ostree-') ? parseOstreeImgref(text).imgref : text;

export async function readImage(imgref: string, open: OpenImage, log: Logger) {
  const image = await open(imgref);
  try {
    return { manifestDigest: image.manifestDigest, ...(await readEncapsulated(image, log)) };
  } finally {
    await image.close?.();
  }
}
