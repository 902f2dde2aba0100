/** `ostrata container image pull` and `ostrata container unencapsulate`. */
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { DeltaChoice } from '../../client/import/delta.js';
import { blobToFetch, type ImportPlan, layersToFetch } from '../../client/import/plan.js';
import { type PullResult, pullImage } from '../../client/pull.js';
import {
  type ImportEvent,
  type ImportOptions,
  type ImportResult,
  type PlannedEvent,
  previewImport,
} from '../../client/session.js';
import { checkOnlyCommit, unencapsulate } from '../../client/unencapsulate.js';
import {
  OSTREE_IMGREF_FORMS,
  parseOstreeImgref,
  saysVerification,
} from '../../client/verify/ostree-image-reference.js';
import type { TransportOptions } from '../../transports/transport.js';
import { useOptions } from '../options/groups.js';
import { type RegistryOptions, registryOptions, transportOptions } from '../options/registry.js';
import { integer, logOptions } from '../options/values.js';
import { counted, formatBytes, NAMES_WIDTH, shortDigest, someNames } from '../output/format.js';
import { print, printable, printMessage } from '../output/print.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { cancelIfUnread, interruptSignal } from '../run.js';

interface PullOptions extends LogOptions, RegistryOptions {
  readonly jobs: number;
  readonly fsync: boolean;
  /** The place of a delta, or whether one may be used. */
  readonly delta: string | boolean;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

interface UnencapsulateOptions extends PullOptions {
  readonly repo: string;
  readonly writeRef?: string | undefined;
}

/** Explains the arguments of both commands. */
const HELP = `
The reference says how the image is verified:
  ostree-unverified-registry:IMAGE               by its digests only
  ostree-unverified-image:TRANSPORT:...          the same, for any transport
  ostree-remote-registry:REMOTE:IMAGE            by the commit's signature and the remote's keys
  ostree-remote-image:REMOTE:TRANSPORT:...       the same, for any transport
  ostree-image-signed:TRANSPORT:...              by the signature policy of this host
  TRANSPORT:..., as "image list" prints it       by its digests only, with a warning

Examples:
  ostrata container image pull /sysroot/ostree/repo ostree-unverified-registry:quay.io/os/base:40
  ostrata container image pull --delta=oci-archive:update.delta repo \\
    ostree-unverified-registry:quay.io/os/base:41
  ostrata container unencapsulate --repo=repo ostree-unverified-image:oci:os:40`;

export function addPullCommand(image: Command): void {
  const command = image
    .command('pull')
    .summary('pull an image, or update it')
    .description(
      'Pull an image into an ostree repository: the commit that it holds, the layers that ' +
        'container builds added, and a merge commit of both, which is what a system deploys. ' +
        'A plain image, which holds no commit, becomes a merge commit of all its layers. ' +
        'rpm-ostree and bootc store images in the same way. Only layers that the repository ' +
        'lacks are fetched, or a delta from an image that it has, if the registry has one and ' +
        'it is smaller. If the image is up to date, that costs one request. Prints the merge ' +
        'commit.',
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
  command.addHelpText('after', HELP);
  useOptions(command, [pullOptions, registryOptions, logOptions]);
}

export function addUnencapsulateCommand(container: Command): void {
  const command = container
    .command('unencapsulate')
    .summary('import the ostree commit that an image holds')
    .description(
      'Import the ostree commit that an image holds into an ostree repository. Only layers that ' +
        'the repository lacks are fetched, every object is verified, and no ref names the commit ' +
        'before it is complete. Prints the commit.',
    )
    .argument('<imgref>', OSTREE_IMGREF_FORMS)
    .requiredOption('--repo <path>', 'the ostree repository')
    .option('--write-ref <ref>', 'make this ref name the commit')
    .action(async (imgref: string, options: UnencapsulateOptions) => {
      const imports = importOptions(options.repo, imgref, options);
      if (options.dryRun) {
        printPlan(await previewImport(imports, checkOnlyCommit), options);
      } else {
        const { writeRef } = options;
        printResult(await unencapsulate({ ...imports, writeRef }), options);
      }
    });
  command.addHelpText('after', HELP);
  useOptions(command, [pullOptions, registryOptions, logOptions]);
}

function pullOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--jobs <n>', 'layers that are imported at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option(
      '--no-fsync',
      'do not wait for the disk; a power failure can then damage the repository',
    )
    .option('--no-delta', 'fetch layers as they are, even if a delta is smaller')
    .option('--delta <imgref>', 'use this delta and no other one, e.g. oci-archive:update.delta')
    .option('--dry-run', 'print what would be fetched, and fetch nothing')
    .option('--json', 'print a line of JSON for each step, and the result last');
}

function importOptions(repo: string, reference: string, options: PullOptions): ImportOptions {
  const source = parseOstreeImgref(reference);
  const log = terminalLogger(options);
  const references = typeof options.delta === 'string' ? [options.delta] : [];
  const transportOf = transportOptions(options, [source.imgref, ...references], log);
  if (!saysVerification(reference)) {
    log.warn(
      `${reference} is verified by its digests only; ostree-image-signed: verifies signatures, ` +
        'and ostree-unverified-image: says that none are wanted',
    );
  }
  if (options.json) {
    cancelIfUnread();
  }
  return {
    repo,
    source,
    transport: transportOf(source.imgref),
    delta: deltaChoice(options, transportOf),
    jobs: options.jobs,
    fsync: options.fsync ? undefined : false,
    log,
    signal: interruptSignal,
    onEvent: (event) => printEvent(event, options),
  };
}

function deltaChoice(
  { delta }: PullOptions,
  transportOf: (imgref: string) => TransportOptions,
): DeltaChoice {
  if (typeof delta === 'string') {
    return { imgref: delta, transport: transportOf(delta) };
  }
  return delta ? 'any' : 'none';
}

function printEvent(event: ImportEvent, { json, quiet, dryRun }: PullOptions): void {
  if (json) {
    print(JSON.stringify(event));
  } else if (event.event === 'planned' && !quiet && !dryRun) {
    printMessage(plannedLine(event));
  }
}

function plannedLine({ layersPresent, layersNeeded, ...planned }: PlannedEvent): string {
  const { bytesNeeded, bytesByLayers, delta } = planned;
  const size = sizeToFetch(bytesNeeded, bytesByLayers, delta !== undefined);
  return `layers already present: ${layersPresent}; layers needed: ${layersNeeded} (${size})`;
}

function sizeToFetch(bytes: number, bytesByLayers: number, isDelta: boolean): string {
  const size = formatBytes(bytes);
  return isDelta ? `${size} by a delta, ${formatBytes(bytesByLayers)} by layers` : size;
}

/** Prints nothing with `--json`: the event `planned` has the same counts. */
function printPlan({ layers, delta, counts }: ImportPlan, { json }: PullOptions): void {
  if (json) {
    return;
  }
  for (const layer of layersToFetch(layers)) {
    const { index, descriptor, names, createdBy } = layer;
    const digest = shortDigest(descriptor.digest);
    const content = names.length > 0 ? someNames(names, NAMES_WIDTH) : createdBy;
    const { size } = blobToFetch(layer, delta);
    const isRebuilt = size !== descriptor.size;
    const bytes = isRebuilt
      ? `${formatBytes(size)} of ${formatBytes(descriptor.size)}`
      : formatBytes(size);
    print(`layer ${index}  ${digest}  ${bytes}  ${printable(content)}`);
  }
  const { layersFetched, layersPresent, bytesFetched, bytesByLayers } = counts;
  const size = sizeToFetch(bytesFetched, bytesByLayers, delta !== undefined);
  print(`${counted(layersFetched, 'layer')} to fetch (${size}), ${layersPresent} present`);
}

function printResult(
  result: Partial<PullResult> & Omit<ImportResult, 'commit'>,
  { json }: PullOptions,
): void {
  const { commit, mergeCommit, ...counts } = result;
  const line = json ? JSON.stringify({ commit, mergeCommit, ...counts }) : (mergeCommit ?? commit);
  print(line ?? '');
}
