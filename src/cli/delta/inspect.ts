/** `ostrata delta inspect`: what a delta is for, and what it holds. */
import type { Command } from 'commander';
import {
  DELTA_TYPE,
  type Delta,
  readDelta,
  TAR_DIFF,
  type TargetLayer,
} from '../../delta/artifact.js';
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

interface InspectOptions extends RegistryOptions, LogOptions {
  readonly json?: boolean | undefined;
}

export function addInspectCommand(delta: Command): void {
  const command = delta
    .command('inspect')
    .summary('show which images a delta is for, and its layers')
    .description(
      'Show from which image to which a delta leads, how much it downloads, and how much the ' +
        'layers would be that it stands for. Reads its documents only.',
    )
    .argument('<delta>', `the delta: ${DELTA_FORMS}`)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Example:
  ostrata delta inspect oci-archive:update.delta`,
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
  const image = await openDelta(reference, [reference], options, terminalLogger(options));
  try {
    const delta = await readDelta(image);
    print(options.json ? jsonReport(delta) : textReport(delta));
  } finally {
    await image.close?.();
  }
}

type ChangedLayer = TargetLayer & { readonly blob: NonNullable<TargetLayer['blob']> };

function changedLayers({ layers }: Delta): readonly ChangedLayer[] {
  return layers.flatMap((layer) => {
    const { blob } = layer;
    return blob === undefined ? [] : [{ ...layer, blob }];
  });
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

function sizesOf(layers: readonly ChangedLayer[]) {
  return {
    size: sum(layers.map(({ blob }) => blob.size)),
    layersSize: sum(layers.map(({ descriptor }) => descriptor.size)),
  };
}

function jsonReport(delta: Delta): string {
  const { digest, source, sourceConfig, target } = delta;
  const changed = changedLayers(delta);
  return JSON.stringify({
    manifestDigest: digest,
    source,
    sourceConfig,
    target: target.manifestDigest,
    targetConfig: target.manifest.config.digest,
    ...sizesOf(changed),
    reused: delta.layers.length - changed.length,
    layers: changed.map(({ index, descriptor, diffId, blob }) => ({
      index,
      digest: descriptor.digest,
      diffId,
      layerSize: descriptor.size,
      size: blob.size,
      mediaType: blob.mediaType,
    })),
  });
}

function textReport(delta: Delta): string {
  const { source = 'not stated', sourceConfig, target } = delta;
  const changed = changedLayers(delta);
  const { size, layersSize } = sizesOf(changed);
  const count = `${changed.length} of ${counted(delta.layers.length, 'layer')}`;
  const head = [
    `source: ${source}`,
    `        with the config ${sourceConfig}`,
    `target: ${target.manifestDigest}`,
    `update: ${formatBytes(size)} for ${count}${shareOf(size, layersSize)}`,
  ].join('\n');
  if (changed.length === 0) {
    return head;
  }
  const rows = changed.map(({ index, descriptor, blob }) => [
    String(index),
    shortDigest(descriptor.digest),
    formatBytes(descriptor.size),
    formatBytes(blob.size),
    blob.mediaType === TAR_DIFF ? 'tar-diff' : 'as it is',
  ]);
  const columns = [right('LAYER'), left('DIGEST'), right('SIZE'), right('DELTA'), left('KIND')];
  return `${head}\n\n${formatTable(columns, rows)}`;
}

function shareOf(size: number, layersSize: number): string {
  return layersSize > 0 ? `, ${formatPercent(size, layersSize)} of their size` : '';
}
