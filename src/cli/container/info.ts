/** `ostrata container info`: what an image says about itself, in a few lines. */
import type { Command } from 'commander';
import * as annotation from '../../oci/annotations.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { formatBytes } from '../output/format.js';
import { print, printable } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import {
  commitOf,
  commitText,
  IMGREF_HELP,
  type ImageInfo,
  type InfoOptions,
  readImageInfo,
  sizeOf,
} from './image-info.js';

export function addInfoCommand(container: Command): void {
  const command = container
    .command('info')
    .summary('show the digest, commit, version and size of an image')
    .description(
      'Show the digest, commit, version and size of an image. Only its manifest and config are ' +
        'read. `ostrata inspect` shows its layers.',
    )
    .argument('<imgref>', IMGREF_HELP)
    .option('--json', 'print the result and all labels as JSON')
    .action(info);
  useOptions(command, [registryOptions, logOptions]);
}

async function info(reference: string, options: InfoOptions): Promise<void> {
  const log = terminalLogger(options);
  const image = await readImageInfo(reference, imageOpener(options, [reference], log), log);
  print(options.json ? jsonReport(image) : textReport(reference, image));
}

function summaryOf(image: ImageInfo) {
  const { labels, layers } = image;
  return {
    commit: commitOf(image),
    version: labels[annotation.IMAGE_VERSION] ?? labels.version,
    layers: layers.length,
    derivedLayers: layers.filter(({ kind }) => kind === 'derived').length,
    size: sizeOf(layers),
  };
}

function jsonReport(image: ImageInfo): string {
  const { manifestDigest, labels } = image;
  return JSON.stringify({ manifestDigest, ...summaryOf(image), labels });
}

function textReport(reference: string, image: ImageInfo): string {
  const { version, layers, derivedLayers, size } = summaryOf(image);
  const derived = derivedLayers > 0 ? `, ${derivedLayers} of them derived` : '';
  const lines = [
    `image:   ${reference}`,
    `digest:  ${image.manifestDigest}`,
    `commit:  ${commitText(image)}`,
    ...(version === undefined ? [] : [`version: ${version}`]),
    `layers:  ${layers}${derived}`,
    `size:    ${formatBytes(size)}`,
  ];
  return lines.map(printable).join('\n');
}
