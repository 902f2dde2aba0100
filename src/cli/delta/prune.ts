/** `ostrata delta prune`: deletes deltas to images that are not the newest any more. */
import type { Command } from 'commander';
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { type Created, type DeltaTarget, planPruning } from '../../delta/prune.js';
import { isNotFound } from '../../errors.js';
import { parseConfig } from '../../oci/types.js';
import {
  namedBeside,
  openArtifactRepository,
  openImage,
} from '../../transports/image-reference.js';
import type { TransportOptions } from '../../transports/transport.js';
import { useOptions } from '../options/groups.js';
import { type RegistryOptions, registryOptions, transportOptions } from '../options/registry.js';
import { integer, logOptions } from '../options/values.js';
import { counted, formatTable, left, right, shortDigest } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';

interface PruneCommandOptions extends RegistryOptions, LogOptions {
  readonly keep: number;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export function addPruneCommand(delta: Command): void {
  const command = delta
    .command('prune')
    .summary('delete the deltas in a registry that lead to older images')
    .description(
      'Delete deltas in a repository of a registry. The newest images keep the deltas that lead ' +
        'to them, and those to all other images are deleted: clients update to a new image. ' +
        'Images count only if deltas lead to them; the newest is the one whose config states the ' +
        'latest time. Images, signatures and other artifacts stay as they are.',
    )
    .argument('<imgref>', 'an image of the repository: registry:IMAGE')
    .requiredOption('--keep <n>', 'how many images keep their deltas', integer(0))
    .option('--dry-run', 'print what would be deleted, and delete nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Example:
  ostrata delta prune --keep=3 --dry-run registry:quay.io/os/base`,
    )
    .action(prune);
  useOptions(command, [registryOptions, logOptions]);
}

async function prune(reference: string, options: PruneCommandOptions): Promise<void> {
  const { keep, dryRun, json } = options;
  const log = terminalLogger(options);
  const imgref = withoutVerification(reference);
  const transport = transportOptions(options, [imgref], log)(imgref);
  const repository = await openArtifactRepository(imgref, transport, 'pull,push,delete');
  try {
    const createdOf = (digest: string) => readCreated(imgref, digest, transport);
    const targets = await planPruning(repository, { keep, createdOf });
    if (!dryRun) {
      for (const { digest, deltas } of targets.filter(({ isKept }) => !isKept)) {
        await repository.remove(digest, deltas);
      }
    }
    print(json ? JSON.stringify({ reference, images: targets }) : textReport(targets, options));
  } finally {
    repository.close();
  }
}

/** Returns when an image was made; undefined if it is not in the repository. */
async function readCreated(
  imgref: string,
  digest: string,
  options: TransportOptions,
): Promise<Created | undefined> {
  try {
    const image = await openImage(namedBeside(imgref, digest) ?? imgref, options);
    try {
      const { created } = parseConfig(await image.config());
      return { created };
    } finally {
      await image.close?.();
    }
  } catch (error) {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  }
}

function textReport(
  targets: readonly DeltaTarget[],
  { dryRun }: Pick<PruneCommandOptions, 'dryRun'>,
): string {
  if (targets.length === 0) {
    return 'there are no deltas';
  }
  const verb = dryRun ? 'would be deleted' : 'deleted';
  const rows = targets.map(({ digest, created = 'unknown', deltas, isKept }) => [
    shortDigest(digest),
    created,
    String(deltas.length),
    isKept ? 'kept' : verb,
  ]);
  const columns = [left('IMAGE'), left('CREATED'), right('DELTAS'), left('RESULT')];
  const deleted = targets.filter(({ isKept }) => !isKept).flatMap(({ deltas }) => deltas);
  return `${formatTable(columns, rows)}\n\n${counted(deleted.length, 'delta')} ${verb}`;
}
