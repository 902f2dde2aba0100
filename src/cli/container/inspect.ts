import type { Command } from 'commander';
import { inContextAsync } from '../../errors.js';
import { type ReadLayer, readEncapsulated } from '../../image/encapsulated.js';
import * as annotation from '../../oci/annotations.js';
import { IMGREF_FORMS } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  formatBytes,
  formatRate,
  formatTable,
  printable,
  shortDigest,
  someNames,
} from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';

/** Characters of component names in a row. */
const NAMES_WIDTH = 72;

interface InspectOptions extends LogOptions, RegistryOptions {
  readonly json?: boolean | undefined;
  readonly all?: boolean | undefined;
}

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .summary('show the layers of an image and what they hold')
    .description(
      'Show the layers of an encapsulated image: size, how often each is expected to change, and its components. ' +
        'Reads the manifest and the config only.',
    )
    .argument('<imgref>', IMGREF_FORMS)
    .option('-a, --all', 'name every component of every layer')
    .option('--json', 'print labels and layers as JSON')
    .action(inspect);
  useOptions(command, [registryOptions, logOptions]);
}

async function inspect(imgref: string, options: InspectOptions): Promise<void> {
  const log = terminalLogger(options);
  const image = await imageOpener(options, [imgref], log)(imgref);
  const { labels, layers } = await inContextAsync(`reading ${imgref}`, () =>
    readEncapsulated(image, log),
  ).finally(() => image.close?.());
  const { [annotation.OSTREE_COMMIT]: commit = 'unknown', [annotation.IMAGE_VERSION]: version } =
    labels;
  if (options.json) {
    return console.log(
      JSON.stringify({
        manifestDigest: image.manifestDigest,
        commit,
        labels,
        layers: layers.map(jsonLayer),
      }),
    );
  }
  const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  console.log(`${imgref}\nmanifest ${image.manifestDigest}\ncommit   ${printable(commit)}`);
  if (version !== undefined) {
    console.log(`version  ${printable(version)}`);
  }
  console.log(`${layers.length} layers, ${formatBytes(total)} to download\n`);
  console.log(
    formatTable(
      [
        { title: 'LAYER', align: 'right' },
        { title: 'DIGEST', align: 'left' },
        { title: 'SIZE', align: 'right' },
        { title: 'CHANGES', align: 'right' },
        { title: 'COMPONENTS', align: 'left' },
      ],
      layers.map((layer, i) => [
        String(i),
        shortDigest(layer.descriptor.digest),
        formatBytes(layer.descriptor.size),
        rateOf(layer),
        contentOf(layer, options.all ? Infinity : NAMES_WIDTH),
      ]),
    ),
  );
}

/** The commit is another with every build. */
function rateOf({ kind, recorded }: ReadLayer): string {
  if (kind === 'commit') {
    return formatRate(Infinity);
  }
  return recorded?.changesPerYear === undefined ? '?' : formatRate(recorded.changesPerYear);
}

function contentOf({ kind, recorded, names, createdBy }: ReadLayer, width: number): string {
  if (kind === 'commit') {
    return `ostree commit: ${createdBy}`;
  }
  if (kind === 'derived') {
    return `derived: ${createdBy}`;
  }
  const known = recorded?.components ?? names;
  return known.length > 0 ? someNames(known, width) : createdBy;
}

function jsonLayer({ kind, descriptor, diffId, createdBy, names, recorded }: ReadLayer): object {
  return {
    kind,
    digest: descriptor.digest,
    diffId,
    size: descriptor.size,
    mediaType: descriptor.mediaType,
    components: recorded?.components ?? names,
    // JSON has no Infinity: null means in every build.
    ...(recorded?.changesPerYear !== undefined && {
      changesPerYear: jsonRate(recorded.changesPerYear),
    }),
    createdBy,
  };
}

const jsonRate = (rate: number) => (rate === Infinity ? null : rate);
