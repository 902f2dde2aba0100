import type { Command } from 'commander';
import { classifyLayers, type ReadLayer } from '../image/encapsulated.js';
import * as annotation from '../oci/annotations.js';
import { parseConfig } from '../oci/types.js';
import { openImage } from '../transports/imgref.js';
import { parseOstreeImgref } from '../transports/ostree-imgref.js';
import { counted, formatBytes, printable } from './format.js';
import { addLogOptions } from './options.js';
import { addRegistryOptions, type RegistryOptions, transportOptions } from './registry-options.js';
import { type LogOptions, terminalLogger } from './terminal.js';

const IMGREF_HELP = 'TRANSPORT:..., also with ostree-unverified-image: and the like in front';

interface InfoOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean;
}

export function addInfoCommand(container: Command): void {
  const command = container
    .command('info')
    .summary('what an image is: digest, commit, version, size')
    .argument('<imgref>', IMGREF_HELP)
    .option('--json', 'print it as JSON')
    .action(async (imgref: string, options: InfoOptions) => {
      const { manifestDigest, labels, layers } = await readImage(imgref, options);
      const { [annotation.OSTREE_COMMIT]: commit, [annotation.IMAGE_VERSION]: version = labels.version } = labels;
      const size = sizeOf(layers);
      const derivedLayers = layers.filter(({ kind }) => kind === 'derived').length;
      if (options.json) {
        console.log(
          JSON.stringify({ manifestDigest, commit, version, layers: layers.length, derivedLayers, size, labels }),
        );
        return;
      }
      console.log(`image:   ${imgref}\ndigest:  ${manifestDigest}\ncommit:  ${printable(commit ?? 'unknown')}`);
      if (version !== undefined) console.log(`version: ${printable(version)}`);
      console.log(`layers:  ${layers.length}${derivedLayers > 0 ? `, ${derivedLayers} of them derived` : ''}`);
      console.log(`size:    ${formatBytes(size)}`);
    });
  addLogOptions(addRegistryOptions(command));
}

export function addCompareCommand(container: Command): void {
  const command = container
    .command('compare')
    .summary('what a client of one image downloads for another')
    .description(
      'Compare the layers of two images. Layers are the same where their uncompressed bytes are: clients recognise those ' +
        'whoever compressed them.',
    )
    .argument('<old>', IMGREF_HELP)
    .argument('<new>', IMGREF_HELP)
    .option('--json', 'print the counts as JSON')
    .action(async (oldImgref: string, newImgref: string, options: InfoOptions) => {
      const [before, after] = [await readImage(oldImgref, options), await readImage(newImgref, options)];
      const without = (layers: readonly ReadLayer[], others: readonly ReadLayer[]) => {
        const diffIds = new Set(others.map(({ diffId }) => diffId));
        return layers.filter(({ diffId }) => !diffIds.has(diffId));
      };
      const [added, removed] = [without(after.layers, before.layers), without(before.layers, after.layers)];
      if (options.json) {
        const counts = {
          total: after.layers.length,
          totalSize: sizeOf(after.layers),
          removed: removed.length,
          removedSize: sizeOf(removed),
          added: added.length,
          addedSize: sizeOf(added),
        };
        console.log(JSON.stringify(counts));
        return;
      }
      const line = (layers: readonly ReadLayer[]) =>
        `${counted(layers.length, 'layer')}, ${formatBytes(sizeOf(layers))}`;
      console.log(`total:   ${line(after.layers)}\nremoved: ${line(removed)}\nadded:   ${line(added)}`);
    });
  addLogOptions(addRegistryOptions(command));
}

const sizeOf = (layers: readonly ReadLayer[]) => layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);

async function readImage(text: string, options: InfoOptions) {
  const imgref = text.startsWith('ostree-') ? parseOstreeImgref(text).imgref : text;
  const image = await openImage(imgref, transportOptions(options, imgref, terminalLogger(options))(imgref));
  try {
    const config = parseConfig(await image.config());
    return {
      manifestDigest: image.manifestDigest,
      labels: config.config?.Labels ?? {},
      layers: classifyLayers(image.manifest, config),
    };
  } finally {
    await image.close?.();
  }
}
