/** `ostrata inspect`: the layers of an image and the components in each. */

import type { Command } from 'commander';
import type { ReadLayer } from '../../image/encapsulated.js';
import * as annotation from '../../oci/annotations.js';
import { IMAGE_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  type Cell,
  counted,
  formatBytes,
  formatRate,
  formatTable,
  left,
  right,
  shortDigest,
} from '../output/format.js';
import { print, printable } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import {
  commitOf,
  commitText,
  IMGREF_HELP,
  type ImageInfo,
  readImageInfo,
  sizeOf,
} from './image-info.js';

interface InspectOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
  readonly all?: boolean | undefined;
}

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .helpGroup(IMAGE_COMMANDS)
    .summary('show the layers of an image and the components in each')
    .description(
      'Show the layers of an image: the size of each, how often it is expected to change, and ' +
        'its components or the build step that made it. Only the manifest and the config are read.',
    )
    .argument('<imgref>', IMGREF_HELP)
    .option('-a, --all', 'print the names of all components; long lists are cut otherwise')
    .option('--json', 'print labels and layers as JSON')
    .action(inspect);
  useOptions(command, [registryOptions, logOptions]);
}

async function inspect(imgref: string, options: InspectOptions): Promise<void> {
  const log = terminalLogger(options);
  const open = imageOpener(options, [imgref], log);
  const image = await readImageInfo(imgref, open, log);
  print(options.json ? jsonReport(image) : textReport(imgref, image, options));
}

function textReport(imgref: string, image: ImageInfo, { all }: InspectOptions): string {
  const { manifestDigest, labels, layers } = image;
  const version = labels[annotation.IMAGE_VERSION];
  const heading = [
    imgref,
    `manifest ${manifestDigest}`,
    `commit   ${commitText(image)}`,
    ...(version === undefined ? [] : [`version  ${version}`]),
    `${counted(layers.length, 'layer')}, ${formatBytes(sizeOf(layers))} to download`,
  ];

  const rows = layers.map((layer, i) => [
    String(i),
    shortDigest(layer.descriptor.digest),
    formatBytes(layer.descriptor.size),
    rateOf(layer),
    all ? wholeText(contentOf(layer)) : contentOf(layer),
  ]);
  const table = formatTable(
    [right('LAYER'), left('DIGEST'), right('SIZE'), right('CHANGES'), left('COMPONENTS')],
    rows,
  );
  return `${heading.map(printable).join('\n')}\n\n${table}`;
}

/** The commit layer changes with every build; most other tools record no rates. */
function rateOf({ kind, changesPerYear }: ReadLayer): string {
  if (kind === 'commit') {
    return formatRate(Infinity);
  }
  return changesPerYear === undefined ? '?' : formatRate(changesPerYear);
}

function wholeText(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.join(', ');
}

function contentOf({ kind, recorded, names, createdBy }: ReadLayer): Cell {
  if (kind === 'commit') {
    return `ostree commit: ${createdBy}`;
  }
  if (kind === 'derived') {
    return `derived: ${createdBy}`;
  }
  const components = recorded?.components ?? names;
  return components.length > 0 ? components : createdBy;
}

function jsonReport(image: ImageInfo): string {
  const { manifestDigest, labels, layers } = image;
  return JSON.stringify({
    manifestDigest,
    commit: commitOf(image),
    labels,
    layers: layers.map(jsonLayer),
  });
}

function jsonLayer(layer: ReadLayer): object {
  const { kind, descriptor, diffId, createdBy, names, recorded, changesPerYear } = layer;
  return {
    kind,
    digest: descriptor.digest,
    diffId,
    size: descriptor.size,
    mediaType: descriptor.mediaType,
    components: recorded?.components ?? names,
    changesPerYear: jsonRate(changesPerYear),
    createdBy,
  };
}

/** JSON has no infinity: null means that the layer changes with every build. */
function jsonRate(rate: number | undefined): number | null | undefined {
  return rate === Infinity ? null : rate;
}
