/** `ostrata cache prune`: deletes old layers from a shared cache. */
import { type Command, InvalidArgumentError } from 'commander';
import { type CachedLayer, planCachePruning } from '../../blobs/prune-shared.js';
import { CACHED_LAYER_TYPE, TAG_PREFIX } from '../../blobs/shared-entry.js';
import { checkIsRepository, openArtifactRepository } from '../../transports/image-reference.js';
import { useOptions } from '../options/groups.js';
import { type RegistryOptions, registryOptions, transportOptions } from '../options/registry.js';
import { logOptions, parseAge } from '../options/values.js';
import { counted, formatBytes } from '../output/format.js';
import { print } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';

interface PruneCommandOptions extends RegistryOptions, LogOptions {
  /** Milliseconds. */
  readonly olderThan: number;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export function addPruneCommand(cache: Command): void {
  const command = cache
    .command('prune')
    .summary('delete the layers in a registry that were put there long ago')
    .description(
      'Delete old layers that builds have put into a repository of a registry by --cache-to. A ' +
        'build that needs a deleted layer makes it again and puts it there again. Images ' +
        'and everything else in the repository stay as they are. The registry frees the space ' +
        'when it collects its garbage.',
    )
    .argument('<imgref>', 'the repository: registry:HOST/PATH')
    .requiredOption(
      '--older-than <age>',
      'delete what is older: hours, days, weeks or years, such as 36h, 30d, 8w or 1y; the time ' +
        'of a layer is the day on which it was put there',
      olderThan,
    )
    .option('--dry-run', 'print how much would be deleted, and delete nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Example:
  ostrata cache prune --older-than=30d --dry-run registry:quay.io/me/layer-cache`,
    )
    .action(prune);
  useOptions(command, [registryOptions, logOptions]);
}

function olderThan(text: string): number {
  const age = parseAge(text);
  if (age === undefined) {
    throw new InvalidArgumentError('expected an age such as 36h, 30d, 8w or 1y.');
  }
  return age;
}

async function prune(imgref: string, options: PruneCommandOptions): Promise<void> {
  const { olderThan: age, dryRun, json } = options;
  checkIsRepository(imgref);
  const log = terminalLogger(options);
  const transport = transportOptions(options, [imgref], log)(imgref);
  const rights = dryRun ? 'pull' : 'pull,push,delete';
  const repository = await openArtifactRepository(imgref, transport, rights);
  try {
    const artifacts = await repository.tagged(TAG_PREFIX, CACHED_LAYER_TYPE);
    const layers = planCachePruning(artifacts, age, Date.now());
    if (!dryRun) {
      const old = layers.filter(({ isKept }) => !isKept);
      await repository.removeManifests(old.map(({ digest }) => digest));
    }
    print(json ? jsonReport(imgref, layers) : textReport(layers, options));
  } finally {
    repository.close();
  }
}

function jsonReport(reference: string, layers: readonly CachedLayer[]): string {
  const listed = layers.map(({ created, ...layer }) => ({
    ...layer,
    created: created === undefined ? undefined : Math.floor(created / 1000),
  }));
  return JSON.stringify({ reference, layers: listed });
}

function textReport(
  layers: readonly CachedLayer[],
  { dryRun }: Pick<PruneCommandOptions, 'dryRun'>,
): string {
  const kept = layers.filter(({ isKept }) => isKept);
  const others = layers.filter(({ isKept }) => !isKept);
  const verb = dryRun ? 'would be deleted' : 'deleted';
  return `${sizeOf(others)} ${verb}, ${sizeOf(kept)} kept`;
}

function sizeOf(layers: readonly CachedLayer[]): string {
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  return `${counted(layers.length, 'layer')} (${formatBytes(size)})`;
}
