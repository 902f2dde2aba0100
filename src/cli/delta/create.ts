/** `ostrata delta create`: makes the delta between two images. */
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { type CreatedDelta, createDelta } from '../../delta/create.js';
import { DELTA_LEVELS } from '../../delta/layer-diff.js';
import { must, OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { createImage, parseImgref } from '../../transports/image-reference.js';
import { IMGREF_HELP } from '../container/image-info.js';
import { useOptions } from '../options/groups.js';
import {
  imageOpener,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { integer, logOptions } from '../options/values.js';
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
import { interruptSignal } from '../run.js';

export interface CreateOptions extends RegistryOptions, LogOptions {
  readonly level: string;
  readonly jobs: number;
  readonly json?: boolean | undefined;
}

/** Where a delta can be. */
export const DELTA_FORMS = 'oci:DIR[:TAG], oci-archive:FILE or registry:IMAGE:TAG';

export function addCreateCommand(delta: Command): void {
  const command = delta
    .command('create')
    .summary('make the delta from one image to another')
    .description(
      'Make the delta from one image to another. Files that did not change are taken from the ' +
        'old image, and changed ones are rebuilt from its files of the same or a similar path. ' +
        'The same images give the same bytes. Needs Linux with glibc.',
    )
    .argument('<old>', `the image that clients have: ${IMGREF_HELP}`)
    .argument('<new>', 'the image that they update to, in the same form')
    .argument('<out>', `where the delta goes: ${DELTA_FORMS}`)
    .addOption(
      new Option('--level <name>', 'how much time the search for a small delta takes')
        .choices([...DELTA_LEVELS.keys()])
        .default('default'),
    )
    .addOption(
      new Option('--jobs <n>', 'files that are compressed at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option('--spool <dir>', 'folder for uncompressed layers (default: TMPDIR or /var/tmp)')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  ostrata delta create registry:quay.io/os/base:40 registry:quay.io/os/base:41 \\
    registry:quay.io/os/base:40-to-41
  ostrata delta create --level=best oci:old oci:new oci-archive:update.delta`,
    )
    .action(create);
  useOptions(command, [registryOptions, logOptions]);
}

async function create(
  oldReference: string,
  newReference: string,
  out: string,
  options: CreateOptions,
): Promise<void> {
  if ([oldReference, newReference].some((reference) => isSameName(out, reference))) {
    throw new OstrataError('USAGE', `${out} is one of the images; the delta needs another name`);
  }
  const log = terminalLogger(options);
  const references = [out, newReference, oldReference];
  const open = imageOpener(options, references, log);
  const source = await open(oldReference);
  const target = await open(newReference);
  const writer = await createImage(out, transportOptions(options, references, log)(out));
  try {
    const { jobs, spool } = options;
    const level = must(DELTA_LEVELS.get(options.level), options.level);
    const context = { log, signal: interruptSignal };
    const created = await createDelta(source, target, writer, { ...context, level, jobs, spool });
    print(options.json ? jsonReport(out, created) : textReport(created, log));
  } finally {
    await writer.discard();
    await source.close?.();
    await target.close?.();
  }
}

/** Whether two references name one image, also if only one of them states the tag `latest`. */
function isSameName(a: string, b: string): boolean {
  return isDeepStrictEqual(nameOf(a), nameOf(b));
}

function nameOf(imgref: string) {
  const { transport, location } = parseImgref(withoutVerification(imgref));
  return transport.reference?.(location) ?? imgref;
}

function jsonReport(reference: string, { layers, ...delta }: CreatedDelta): string {
  return JSON.stringify({
    reference,
    ...delta,
    layersSize: sizeOfLayers(layers),
    layers: layers.map(({ index, digest, layerSize, size, content }) => ({
      index,
      digest,
      layerSize,
      size,
      content,
    })),
  });
}

function sizeOfLayers(layers: CreatedDelta['layers']): number {
  return layers.reduce((sum, { layerSize }) => sum + layerSize, 0);
}

function textReport({ manifestDigest, size, layers, reused }: CreatedDelta, log: Logger): string {
  log.info(`${counted(reused, 'layer')} in both images`);
  const layersSize = sizeOfLayers(layers);
  const share = layersSize > 0 ? `, ${formatPercent(size, layersSize)} of the layers` : '';
  const head = `${manifestDigest}\n${formatBytes(size)}${share}`;
  if (layers.length === 0) {
    return head;
  }
  const rows = layers.map((layer) => [
    String(layer.index),
    shortDigest(layer.digest),
    formatBytes(layer.layerSize),
    formatBytes(layer.size),
    layer.content === undefined ? 'as it is' : 'tar-diff',
  ]);
  const columns = [right('LAYER'), left('DIGEST'), right('SIZE'), right('DELTA'), left('KIND')];
  return `${head}\n\n${formatTable(columns, rows)}`;
}
