import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { parseOstreeImgref } from '../transports/ostree-imgref.js';
import { type ImportEvent, type ImportOptions, type ImportResult, unencapsulate } from '../unencapsulate.js';
import { formatBytes } from './format.js';
import { addLogOptions, integer } from './options.js';
import { interruptSignal } from './run.js';
import { type LogOptions, terminalLogger } from './terminal.js';

const IMGREF_HELP =
  'ostree-unverified-image:TRANSPORT:..., ostree-unverified-registry:IMAGE, ostree-remote-image:REMOTE:TRANSPORT:..., ' +
  'ostree-remote-registry:REMOTE:IMAGE or ostree-image-signed:TRANSPORT:...';

interface PullOptions extends LogOptions {
  readonly jobs: number;
  readonly fsync: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** `container unencapsulate`, `container image pull` and what belongs to them. */
export function addContainerCommand(program: Command): void {
  const container = program.command('container').summary('pull images and have their ostree commits again');
  const unencapsulateCommand = container
    .command('unencapsulate')
    .summary('import the ostree commit that an image holds')
    .description(
      'Import the ostree commit of an encapsulated image into a repository: layers that it has are not fetched, every ' +
        'object is verified, and nothing refers to the commit before it is whole.',
    )
    .argument('<imgref>', IMGREF_HELP)
    .requiredOption('--repo <path>', 'the ostree repository')
    .option('--write-ref <ref>', 'make this ref name the commit')
    .action(async (imgref: string, options: PullOptions & { readonly repo: string; readonly writeRef?: string }) => {
      const result = await unencapsulate({
        ...importOptions(options.repo, imgref, options),
        ...(options.writeRef !== undefined && { writeRef: options.writeRef }),
      });
      printResult(result, options);
    });
  addPullOptions(unencapsulateCommand);
}

function addPullOptions(command: Command): void {
  command
    .addOption(
      new Option('--jobs <n>', 'layers imported at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option('--no-fsync', 'do not wait for the disk: after a power cut the repository may be broken')
    .option('--json', 'print a line of JSON for each step, the result last');
  addLogOptions(command);
}

function importOptions(repo: string, imgref: string, options: PullOptions): ImportOptions {
  return {
    repo,
    source: parseOstreeImgref(imgref),
    jobs: options.jobs,
    ...(!options.fsync && { fsync: false }),
    log: terminalLogger(options),
    signal: interruptSignal,
    ...(options.json && { onEvent: (event: ImportEvent) => console.log(JSON.stringify(event)) }),
  };
}

function printResult(result: ImportResult, { json }: PullOptions): void {
  if (json) {
    console.log(JSON.stringify(result));
    return;
  }
  const { commit, layersFetched, layersPresent, bytesFetched } = result;
  console.log(commit);
  console.error(`${layersFetched} layers fetched (${formatBytes(bytesFetched)}), ${layersPresent} present`);
}
