/** `ostrata delta apply`: rebuilds an image from a delta and an older image. */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { imageByConfig } from '../../client/stored.js';
import { type AppliedDelta, applyDelta, type DeltaSource } from '../../delta/apply.js';
import { type Delta, readDelta } from '../../delta/artifact.js';
import { OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { openRepo } from '../../ostree/repo.js';
import { largeFilesParent } from '../../system/temporary-directory.js';
import { createImage, IMGREF_FORMS, isImgref } from '../../transports/image-reference.js';
import type { TransportOptions } from '../../transports/transport.js';
import { lookupCommit } from '../../tree/commit-lookup.js';
import { imageLayers } from '../../tree/layer-source.js';
import { openSpooledImage } from '../../tree/spooled-image.js';
import { useOptions } from '../options/groups.js';
import {
  imageOpener,
  type OpenImage,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { counted } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { DELTA_FORMS } from './create.js';
import { openDelta } from './inspect.js';
import { restoreSignatures } from './signatures.js';

interface ApplyOptions extends RegistryOptions, LogOptions {
  readonly source: string;
  readonly json?: boolean | undefined;
}

/** The source of a delta, and what closes it. */
type OpenedSource = DeltaSource & { close(): Promise<void> };

export function addApplyCommand(delta: Command): void {
  const command = delta
    .command('apply')
    .summary('rebuild an image from a delta and the older image')
    .description(
      'Rebuild the new image from a delta and the old image. Every layer is checked by the ' +
        'diff_id that the config of the new image states, and nothing is written before all are. ' +
        'If the old image is in an ostree repository, layers that both images have are left out: ' +
        'a client that has the old image knows them by their diff_ids.',
    )
    .argument('<delta>', `the delta: ${DELTA_FORMS}`)
    .argument('<out>', `where to write the image: ${IMGREF_FORMS}`)
    .requiredOption(
      '--source <repo|imgref>',
      'the old image: an ostree repository that it was pulled into, or its reference',
    )
    .option('--spool <dir>', 'folder for uncompressed layers (default: TMPDIR or /var/tmp)')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  ostrata delta apply oci-archive:update.delta --source=/ostree/repo oci:new
  ostrata delta apply oci-archive:update.delta --source=oci:old oci-archive:new.ociarchive`,
    )
    .action(apply);
  useOptions(command, [registryOptions, logOptions]);
}

async function apply(reference: string, out: string, options: ApplyOptions): Promise<void> {
  const { spool = largeFilesParent() } = options;
  const log = terminalLogger(options);
  const images = isImgref(options.source) ? [options.source] : [];
  const references = [reference, out, ...images];
  const transport = transportOptions(options, references, log)(out);
  const open = imageOpener(options, references, log);
  const image = await openDelta(reference, references, options, log);
  try {
    const delta = await readDelta(image);
    const source = await openSource(options.source, delta, { open, spool, log });
    try {
      const applied = await applyTo(out, { image, delta, source, transport, spool, log });
      await restoreSignatures(image, delta, applied, { out, transport, log });
      print(options.json ? JSON.stringify({ reference: out, ...applied }) : textReport(applied));
      warnAbout(applied, log);
    } finally {
      await source.close();
    }
  } finally {
    await image.close?.();
  }
}

interface Application {
  readonly image: ImageReader;
  readonly delta: Delta;
  readonly source: DeltaSource;
  readonly transport: TransportOptions;
  readonly spool: string;
  readonly log: Logger;
}

async function applyTo(out: string, application: Application): Promise<AppliedDelta> {
  const { image, delta, source, transport, spool, log } = application;
  const writer = await createImage(out, transport);
  try {
    const context = { log, signal: interruptSignal, spool };
    return await applyDelta(image, delta, source, writer, context);
  } finally {
    await writer.discard();
  }
}

interface SourceOptions {
  readonly open: OpenImage;
  readonly spool: string;
  readonly log: Logger;
}

function openSource(source: string, delta: Delta, options: SourceOptions): Promise<OpenedSource> {
  return isImgref(source) ? openSourceImage(source, delta, options) : openSourceRepo(source, delta);
}

async function openSourceImage(
  source: string,
  { sourceConfig }: Delta,
  { open, spool, log }: SourceOptions,
): Promise<OpenedSource> {
  const image = await open(source);
  try {
    const { digest } = image.manifest.config;
    if (digest !== sourceConfig) {
      throw new OstrataError(
        'NOT_FOUND',
        `${source} has the config ${digest}; the delta needs the image with ${sourceConfig}`,
      );
    }
    const tree = await openSpooledImage(await imageLayers(image), {
      log,
      signal: interruptSignal,
      jobs: availableParallelism(),
      spool,
      skipSpecialFiles: true,
    });
    const close = async () => {
      tree.close?.();
      await image.close?.();
    };
    return { tree, image, close };
  } catch (error) {
    await image.close?.();
    throw error;
  }
}

async function openSourceRepo(path: string, { sourceConfig }: Delta): Promise<OpenedSource> {
  const repo = openRepo(path);
  const stored = imageByConfig(repo, sourceConfig);
  if (stored === undefined) {
    throw new OstrataError(
      'NOT_FOUND',
      `${path} has no image with the config ${sourceConfig}, which the delta needs; ` +
        '`ostrata container image list` names the images that it has',
    );
  }
  const tree = lookupCommit(repo, stored.mergeCommit);
  return { tree, image: undefined, close: async () => {} };
}

function textReport({ manifestDigest, rebuilt, copied, reused }: AppliedDelta): string {
  const counts = [
    `${counted(rebuilt, 'layer')} rebuilt`,
    `${copied} taken from the delta`,
    `${reused} from the old image`,
  ];
  return `${manifestDigest}\n${counts.join(', ')}`;
}

function warnAbout({ isTarget, omitted }: AppliedDelta, log: Logger): void {
  if (omitted > 0) {
    log.warn(
      `without ${counted(omitted, 'layer')} that the repository has; ` +
        'only a client with the old image can pull the result',
    );
  }
  if (!isTarget) {
    log.info('layers were compressed again to other bytes, so the manifest is another one');
  }
}
