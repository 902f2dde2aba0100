/** `ostrata delta inspect`: what a delta is for, and what it holds. */
import type { Command } from 'commander';
import { DELTA_TYPE, type Delta, readDelta, TAR_DIFF } from '../../delta/artifact.js';
import { type HeldLayer, heldLayers, readDeltaFiles } from '../../delta/contents.js';
import { describeImage } from '../../image/encapsulated.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { openImage } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { type RegistryOptions, registryOptions, transportOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  counted,
  formatBytes,
  formatPercent,
  formatTable,
  left,
  right,
  shortDigest,
} from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { DELTA_FORMS } from './create.js';
import { deltaSizes } from './find.js';
import { filesByKind, type KindOfFiles, kindTable } from './kinds.js';

interface InspectOptions extends RegistryOptions, LogOptions {
  readonly files?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export function addInspectCommand(delta: Command): void {
  const command = delta
    .command('inspect')
    .summary('show which images a delta is for, and its layers')
    .description(
      'Show from which image to which a delta leads, how much it downloads, and how much the ' +
        'layers would be that it stands for, the largest first, with the components that are in ' +
        'them. Only its documents are read, unless --files is given.',
    )
    .argument('<delta>', `the delta: ${DELTA_FORMS}`)
    .option('--files', 'also say what it holds of files by their kind; this reads the whole delta')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  ostrata delta inspect oci-archive:update.delta
  ostrata delta inspect --files oci-archive:update.delta`,
    )
    .action(inspect);
  useOptions(command, [registryOptions, logOptions]);
}

/** Opens a delta, one of the images `references` of a command. */
export function openDelta(
  reference: string,
  references: readonly string[],
  options: RegistryOptions,
  log: Logger,
): Promise<ImageReader> {
  const transport = transportOptions(options, references, log)(reference);
  return openImage(reference, { ...transport, artifactType: DELTA_TYPE });
}

async function inspect(reference: string, options: InspectOptions): Promise<void> {
  const log = terminalLogger(options);
  const image = await openDelta(reference, [reference], options, log);
  try {
    const delta = await readDelta(image);
    const changed = await changedLayers(image.name, delta, log);
    const kinds = options.files ? filesByKind(await readDeltaFiles(image, delta)) : undefined;
    const found = { changed, kinds };
    print(options.json ? jsonReport(delta, found) : textReport(delta, found));
  } finally {
    await image.close?.();
  }
}

/** A layer that the old image lacks. */
interface ChangedLayer extends HeldLayer {
  /** Ids or names of its components, as far as the new image records them. */
  readonly components: readonly string[];
  readonly isCommit: boolean;
}

interface Found {
  readonly changed: readonly ChangedLayer[];
  /** Undefined without `--files`. */
  readonly kinds: readonly KindOfFiles[] | undefined;
}

/** Returns the layers of a delta; `name` is its reference, for messages. */
async function changedLayers(
  name: string,
  delta: Delta,
  log: Logger,
): Promise<readonly ChangedLayer[]> {
  const { manifest, configBytes } = delta.target;
  const described = await describeImage({ name, manifest, config: async () => configBytes }, log);
  return heldLayers(delta).map((layer) => {
    const read = described.layers[layer.index];
    const components = read?.recorded?.components ?? read?.names ?? [];
    const isCommit = read?.kind === 'commit';
    return { ...layer, components, isCommit };
  });
}

function jsonReport(delta: Delta, { changed, kinds }: Found): string {
  const { digest, source, sourceConfig, target, signatures } = delta;
  return JSON.stringify({
    manifestDigest: digest,
    source,
    sourceConfig,
    target: target.manifestDigest,
    targetConfig: target.manifest.config.digest,
    ...deltaSizes(delta),
    reused: delta.layers.filter(({ blob }) => blob === undefined).length,
    signatures: signatures.length,
    layers: changed.map(({ index, descriptor, diffId, blob, components }) => ({
      index,
      digest: descriptor.digest,
      diffId,
      layerSize: descriptor.size,
      size: blob.size,
      mediaType: blob.mediaType,
      components,
    })),
    kinds,
  });
}

const COLUMNS = [
  right('LAYER'),
  left('DIGEST'),
  right('SIZE'),
  right('DELTA'),
  left('KIND'),
  left('COMPONENTS'),
];

function textReport(delta: Delta, { changed, kinds }: Found): string {
  const { source = 'not stated', sourceConfig, target, signatures } = delta;
  const { size, layersSize } = deltaSizes(delta);
  const count = `${changed.length} of ${counted(delta.layers.length, 'layer')}`;
  const lines = [
    `source: ${source}`,
    `        with the config ${sourceConfig}`,
    `target: ${target.manifestDigest}`,
    `update: ${formatBytes(size)} for ${count}${shareOf(size, layersSize)}`,
  ];
  if (signatures.length > 0) {
    lines.push(`signed: ${counted(signatures.length, 'signature')} of the target`);
  }
  const head = lines.join('\n');
  if (changed.length === 0) {
    return head;
  }
  const bySize = changed.toSorted((a, b) => b.blob.size - a.blob.size || a.index - b.index);
  const rows = bySize.map(({ index, descriptor, blob, components, isCommit }) => [
    String(index),
    shortDigest(descriptor.digest),
    formatBytes(descriptor.size),
    formatBytes(blob.size),
    blob.mediaType === TAR_DIFF ? 'tar-diff' : 'as it is',
    isCommit ? 'ostree commit and its metadata' : components,
  ]);
  const byKind = kinds === undefined ? '' : `\n\n${kindTable(kinds)}`;
  return `${head}\n\n${formatTable(COLUMNS, rows)}${byKind}`;
}

function shareOf(size: number, layersSize: number): string {
  return layersSize > 0 ? `, ${formatPercent(size, layersSize)} of their size` : '';
}
