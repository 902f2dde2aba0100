/** `ostrata delta create`: makes the deltas from old images to a new one. */
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import { layerIndexStore } from '../../blobs/layer-indexes.js';
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { must, OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import {
  checkHoldsArtifacts,
  createArtifact,
  createImage,
  parseImgref,
} from '../../transports/image-reference.js';
import { IMGREF_HELP } from '../container/image-info.js';
import { type CacheOptions, cacheOptions, openCache } from '../options/cache.js';
import { deltaLevel, levelOption } from '../options/deltas.js';
import { useOptions } from '../options/groups.js';
import {
  imageOpener,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { integer, logOptions, repeated } from '../options/values.js';
import {
  counted,
  formatBytes,
  formatPercent,
  formatTable,
  left,
  right,
  shortDigest,
} from '../output/format.js';
import { print, printable } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { type MadeDelta, makeDeltas } from './make-deltas.js';
import { openSignatures } from './signatures.js';

export interface CreateOptions extends RegistryOptions, CacheOptions, LogOptions {
  readonly level: string;
  readonly from?: readonly string[] | undefined;
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
    .argument(
      '[out]',
      `where the delta goes: ${DELTA_FORMS} (default: beside the new image, without a name)`,
    )
    .option(
      '--from <imgref>',
      'another image that clients have, from which a delta of its own leads to the new one ' +
        '(repeatable); the new image is read only once',
      repeated,
    )
    .addOption(levelOption('--level'))
    .addOption(
      new Option('--jobs <n>', 'files that are compressed at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option('--spool <dir>', 'folder for uncompressed layers (default: TMPDIR or /var/tmp)')
    .option('--json', 'print the result as JSON, one object per line and delta')
    .addHelpText(
      'after',
      `
Examples:
  ostrata delta create registry:quay.io/os/base:40 registry:quay.io/os/base:41
  ostrata delta create --from=registry:quay.io/os/base:39 \\
    registry:quay.io/os/base:40 registry:quay.io/os/base:41
  ostrata delta create --level=best oci:old oci:new oci-archive:update.delta`,
    )
    .action(create);
  useOptions(command, [cacheOptions, registryOptions, logOptions]);
}

async function create(
  oldReference: string,
  newReference: string,
  out: string | undefined,
  options: CreateOptions,
): Promise<void> {
  const oldReferences = [oldReference, ...(options.from ?? [])];
  checkDestination(oldReferences, newReference, out);
  const log = terminalLogger(options);
  const references = [out ?? newReference, newReference, ...oldReferences];
  const open = imageOpener(options, references, log);
  const optionsFor = transportOptions(options, references, log);
  const beside = withoutVerification(newReference);
  const createWriter = () =>
    out === undefined
      ? createArtifact(beside, optionsFor(beside))
      : createImage(out, optionsFor(out));

  const { jobs, spool, level } = options;
  const cache = openCache(options, log);
  const indexes = cache && layerIndexStore(cache);
  const opened: ImageReader[] = [];
  try {
    for (const reference of [newReference, ...oldReferences]) {
      opened.push(await open(reference));
    }
    const [target, ...sources] = opened;
    const image = must(target, newReference);
    const signatures = await openSignatures(beside, image, optionsFor(beside));
    opened.push(...signatures);
    log.info(`${counted(signatures.length, 'signature')} of ${newReference}`);
    const made = await makeDeltas(image, sources, createWriter, {
      log,
      signal: interruptSignal,
      level: deltaLevel(level),
      jobs,
      spool,
      indexes,
      signatures,
    });
    const reports = made.map((each) =>
      options.json ? jsonReport(out ?? newReference, each) : textReport(each, log),
    );
    print(reports.join(options.json ? '\n' : '\n\n'));
  } finally {
    for (const image of opened) {
      await image.close?.();
    }
  }
}

/** Throws `USAGE` or `UNSUPPORTED` unless all deltas can go where they are to go. */
function checkDestination(
  oldReferences: readonly string[],
  newReference: string,
  out: string | undefined,
): void {
  if (out === undefined) {
    checkHoldsArtifacts(withoutVerification(newReference));
    return;
  }
  if (oldReferences.length > 1) {
    const rule = 'several deltas go beside the new image, in a registry or into oci:DIR:TAG';
    throw new OstrataError('USAGE', `unexpected argument ${out}: ${rule}`);
  }
  if ([...oldReferences, newReference].some((reference) => isSameName(out, reference))) {
    throw new OstrataError('USAGE', `${out} is one of the images; the delta needs another name`);
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

function jsonReport(reference: string, delta: MadeDelta): string {
  const { source, manifestDigest, size, layersSize, reused, layers } = delta;
  return JSON.stringify({
    reference,
    source,
    manifestDigest,
    size,
    layersSize,
    reused,
    layers: layers.map(({ index, digest, layerSize, size: deltaSize, content }) => ({
      index,
      digest,
      layerSize,
      size: deltaSize,
      content,
    })),
  });
}

function textReport(delta: MadeDelta, log: Logger): string {
  const { source, manifestDigest, size, layersSize, reused, layers } = delta;
  log.info(`${source}: ${counted(reused, 'layer')} in both images`);
  const share = layersSize > 0 ? `, ${formatPercent(size, layersSize)} of the layers` : '';
  const head = `${manifestDigest}\n${formatBytes(size)}${share}, from ${printable(source)}`;
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
