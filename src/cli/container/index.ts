import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { ImportPlan } from '../../client/import/plan.js';
import { pullImage } from '../../client/pull.js';
import {
  type ImportEvent,
  type ImportOptions,
  type ImportResult,
  previewImport,
} from '../../client/session.js';
import { unencapsulate } from '../../client/unencapsulate.js';
import {
  OSTREE_IMGREF_FORMS,
  parseOstreeImgref,
} from '../../client/verify/ostree-image-reference.js';
import type { Logger } from '../../log.js';
import { useOptions } from '../options/groups.js';
import { type RegistryOptions, registryOptions, transportOptions } from '../options/registry.js';
import { integer, logOptions } from '../options/values.js';
import { counted, formatBytes, shortDigest, someNames } from '../output/format.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { cancelIfUnread, interruptSignal } from '../run.js';
import { addCompareCommand } from './compare.js';
import { addContainerImageCommands } from './image.js';
import { addInfoCommand } from './info.js';
import { addPolicyCommand } from './policy.js';

const NAMES_WIDTH = 72;

interface PullOptions extends LogOptions, RegistryOptions {
  readonly jobs: number;
  readonly fsync: boolean;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** `container unencapsulate`, `info`, `compare`, `policy`, and `container image ...`. */
export function addContainerCommand(program: Command): void {
  const container = program
    .command('container')
    .summary('pull images and have their ostree commits again');
  addUnencapsulateCommand(container);
  addInfoCommand(container);
  addCompareCommand(container);
  addPolicyCommand(container);
  const image = container.command('image').summary('images that a repository has');
  addPullCommand(image);
  addContainerImageCommands(image);
}

function addUnencapsulateCommand(container: Command): void {
  const command = container
    .command('unencapsulate')
    .summary('import the ostree commit that an image holds')
    .description(
      'Import the ostree commit of an encapsulated image into a repository. Layers that it has are not fetched, every ' +
        'object is verified, and nothing refers to the commit before it is whole.',
    )
    .argument('<imgref>', OSTREE_IMGREF_FORMS)
    .requiredOption('--repo <path>', 'the ostree repository')
    .option('--write-ref <ref>', 'make this ref name the commit')
    .action(
      async (
        imgref: string,
        options: PullOptions & { readonly repo: string; readonly writeRef?: string | undefined },
      ) => {
        const imports = importOptions(options.repo, imgref, options);
        if (options.dryRun) {
          return printPlan(await previewImport(imports), options);
        }
        const { writeRef } = options;
        printResult(
          await unencapsulate({ ...imports, ...(writeRef !== undefined && { writeRef }) }),
          options,
        );
      },
    );
  useOptions(command, [pullOptions, registryOptions, logOptions]);
}

function addPullCommand(image: Command): void {
  const command = image
    .command('pull')
    .summary('pull an image, or bring it up to date')
    .description(
      'Pull an image into a repository: its ostree commit, the layers that were built on it, and a merge commit of all, as ' +
        'rpm-ostree and bootc have it. Only layers that the repository lacks are fetched; an image that is up to date ' +
        'costs one request.',
    )
    .argument('<repo>', 'the ostree repository')
    .argument('<imgref>', OSTREE_IMGREF_FORMS)
    .action(async (repo: string, imgref: string, options: PullOptions) => {
      const imports = importOptions(repo, imgref, options);
      if (options.dryRun) {
        printPlan(await previewImport(imports), options);
      } else {
        printResult(await pullImage(imports), options);
      }
    });
  useOptions(command, [pullOptions, registryOptions, logOptions]);
}

function pullOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--jobs <n>', 'layers imported at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option(
      '--no-fsync',
      'do not wait for the disk: after a power cut the repository may be broken',
    )
    .option('--dry-run', 'tell what would be fetched')
    .option('--json', 'print a line of JSON for each step, the result last');
}

function importOptions(repo: string, text: string, options: PullOptions): ImportOptions {
  const source = parseOstreeImgref(text);
  const log: Logger = terminalLogger(options);
  if (options.json) {
    cancelIfUnread();
  }
  return {
    repo,
    source,
    transport: transportOptions(options, [source.imgref], log)(source.imgref),
    jobs: options.jobs,
    ...(!options.fsync && { fsync: false }),
    log,
    signal: interruptSignal,
    onEvent: (event) => {
      if (options.json) {
        console.log(JSON.stringify(event));
      } else if (event.event === 'planned' && !options.quiet && !options.dryRun) {
        console.error(plannedLine(event));
      }
    },
  };
}

function plannedLine({
  layersNeeded,
  layersPresent,
  bytesNeeded,
}: ImportEvent & { readonly event: 'planned' }): string {
  return `layers already present: ${layersPresent}; layers needed: ${layersNeeded} (${formatBytes(bytesNeeded)})`;
}

/** With `--json` the event `planned` tells it all. */
function printPlan(plan: ImportPlan, { json }: PullOptions): void {
  if (json) {
    return;
  }
  const { layersFetched, layersPresent, bytesFetched } = plan.counts;
  for (const { index, descriptor, names, createdBy, present } of plan.layers) {
    if (present === undefined) {
      console.log(
        `layer ${index}  ${shortDigest(descriptor.digest)}  ${formatBytes(descriptor.size)}  ` +
          (names.length > 0 ? someNames(names, NAMES_WIDTH) : createdBy),
      );
    }
  }
  console.log(
    `${counted(layersFetched, 'layer')} to fetch (${formatBytes(bytesFetched)}), ${layersPresent} present`,
  );
}

function printResult(
  result: ImportResult & { readonly mergeCommit?: string | undefined },
  { json }: PullOptions,
): void {
  if (json) {
    const { commit, mergeCommit, ...counts } = result;
    console.log(JSON.stringify({ commit, mergeCommit, ...counts }));
    return;
  }
  console.log(result.mergeCommit ?? result.commit);
}
