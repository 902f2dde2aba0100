/** `ostrata build`: any tree in, a plain container image of layers that change together out. */
import { type Command, Option } from 'commander';
import { planPlainImage, writePlainImage } from '../../builder/build.js';
import { droppedLabels, type PlainImageOptions, plainLabels } from '../../builder/plain-config.js';
import { OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { CONTAINERS_BOOTC } from '../../oci/annotations.js';
import type { IndexedImage } from '../../oci/platform.js';
import { IMGREF_FORMS, parseImgref } from '../../transports/image-reference.js';
import { ARCHIVE_ON_STDOUT } from '../../transports/oci/archive-transport.js';
import type { LocatedTree } from '../../tree/content-location.js';
import {
  type BuildInputs,
  type BuildOptions,
  type BuildSetup,
  readBuildInputs,
  readBuildSetup,
} from '../container/build-inputs.js';
import { previousBuildOptions, WRITING_OPTIONS } from '../container/encapsulate-options.js';
import { type BuildReport, finishBuild, printReport } from '../container/finish-build.js';
import { BUILD_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { buildLayerLimitOptions } from '../options/layers.js';
import { readSigners } from '../options/signing.js';
import { computing } from '../run.js';
import { buildAllPlatforms } from './all-platforms.js';
import type { PlannedBuild } from './commit.js';
import { type CommitOptions, checkFormat, commitOptions } from './commit-options.js';
import {
  type ConfigOptions,
  checkTree,
  configOptions,
  openBuildTree,
  readPlainImageOptions,
  type TreeOptions,
  treeOptions,
} from './options.js';
import { type BuildSource, checkSource, openSource } from './source.js';

export interface TreeBuildOptions extends BuildOptions, TreeOptions, ConfigOptions, CommitOptions {
  /** See `PlainImageOptions`. */
  readonly createdBy?: string | undefined;
}

export function addBuildCommand(program: Command): void {
  const command = program
    .command('build')
    .helpGroup(BUILD_COMMANDS)
    .summary('turn a root file system, an image or a commit into an image of many layers')
    .description(
      'Turn a root file system, another image or an ostree commit into a container image whose ' +
        'layers follow the package database: packages that change together share a layer, so ' +
        'that an update downloads only the layers that changed. Nothing is written into the ' +
        'tree, and no rights are needed except to read it. The image is a plain one, or with ' +
        '--format=ostree one that holds an ostree commit.',
    )
    .argument('[ref]', 'with --repo: a ref, remote:ref, a commit id or the beginning of one')
    .argument('[imgref]', `where to write: ${IMGREF_FORMS} (default: an archive on stdout)`)
    .addOption(new Option('--plan <file>', 'put components into layers as this file says'))
    .addHelpText(
      'after',
      `
Examples:
  ostrata build --rootfs=/mnt/root --prune=/sysroot/ oci:image:latest
  ostrata build --rootfs=/mnt/root --previous-build=auto registry:quay.io/me/os:latest
  ostrata build --rootfs=/mnt/root --config=inspect.json | podman load
  ostrata build --from=registry:quay.io/me/os:raw --previous-build=auto \\
    registry:quay.io/me/os:latest
  podman export CONTAINER | ostrata build --from=tar:- --config=inspect.json oci:image:latest
  ostrata build --from=containers-storage:os-nvidia --base=registry:quay.io/me/os:latest \\
    registry:quay.io/me/os-nvidia:latest
  ostrata build --from=registry:quay.io/me/os:raw --all-platforms --previous-build=auto \\
    registry:quay.io/me/os:latest
  ostrata build --format=ostree --rootfs=/mnt/root oci-archive:image.ociarchive
  ostrata build --repo=repo fedora/x86_64/coreos/stable oci-archive:image.ociarchive

SOURCE_DATE_EPOCH in the environment is the time of the image, unless --created is given.`,
    )
    .action(buildFromArguments);
  useOptions(command, [
    treeOptions,
    buildLayerLimitOptions,
    previousBuildOptions,
    configOptions,
    commitOptions,
    ...WRITING_OPTIONS,
  ]);
}

/** Only with `--repo` is the first argument a ref. */
async function buildFromArguments(
  first: string | undefined,
  second: string | undefined,
  options: TreeBuildOptions,
  command: Command,
): Promise<void> {
  checkFormat(options, command.getOptionValueSource('mtime') === 'cli');
  if (options.repo !== undefined) {
    await build(first, second, options);
    return;
  }
  if (second !== undefined) {
    throw new OstrataError('USAGE', `unexpected argument ${second}; a ref needs --repo`);
  }
  await build(undefined, first, options);
}

/** @param imgref `-` or undefined: an archive on standard output */
export async function build(
  ref: string | undefined,
  imgref: string | undefined,
  given: TreeBuildOptions,
): Promise<void> {
  checkTree(given, ref);
  // A key may come from a pipe, which can be read once.
  const options = { ...given, signers: readSigners(given) };
  const ownOptions = await readPlainImageOptions(options);
  const destination = destinationOf(imgref, options);
  checkSource(options, destination);
  if (options.format === 'ostree') {
    const { checkWriteCommitTo } = await import('./commit.js');
    checkWriteCommitTo(options);
  }
  const setup = await readBuildSetup(destination, ownOptions.architecture, options);
  const buildOne = (own: BuildSetup, image?: IndexedImage) =>
    buildImage(ref, own, image, ownOptions, options);
  try {
    const report = options.allPlatforms
      ? await buildAllPlatforms(setup, options, ownOptions, buildOne)
      : await buildOne(setup);
    printReport(report, setup, options);
  } finally {
    await setup.close();
  }
}

/**
 * Builds one image.
 * @param image the one of the index that `--from` names; undefined if `--platform` chooses it
 */
async function buildImage(
  ref: string | undefined,
  setup: BuildSetup,
  image: IndexedImage | undefined,
  ownOptions: PlainImageOptions,
  options: TreeBuildOptions,
): Promise<BuildReport> {
  const inputs = await readBuildInputs(setup, options, image);
  const source = await openSource(options, inputs);
  const imageOptions: PlainImageOptions = {
    ...ownOptions,
    base: ownOptions.base ?? source?.config,
    baseImage: source?.base,
    createdBy: options.createdBy,
  };
  const dropped = droppedLabels(imageOptions);
  if (dropped.length > 0) {
    inputs.log.info(`labels that describe other layers are dropped: ${dropped.join(', ')}`);
  }

  // The tree is not needed, and should not be kept in memory, once the image is planned.
  const { plan, write } = await planTree(ref, source, imageOptions, inputs, options);
  return finishBuild(plan, inputs, options, write).finally(() => plan.tree.close?.());
}

/** Returns the image reference that is written to. Throws `USAGE` for an archive on a terminal. */
function destinationOf(
  imgref: string | undefined,
  { tag, dryRun }: Pick<TreeBuildOptions, 'tag' | 'dryRun'>,
): string {
  const isArchiveOnStdout = imgref === undefined || imgref === '-';
  const destination = withTag(isArchiveOnStdout ? ARCHIVE_ON_STDOUT : imgref, tag);
  if (destination.startsWith(ARCHIVE_ON_STDOUT) && process.stdout.isTTY && !dryRun) {
    throw new OstrataError(
      'USAGE',
      'standard output is a terminal: name a destination, or redirect the archive to a file',
    );
  }
  return destination;
}

/** Opens the tree and decides which layer of the image holds what. */
async function planTree(
  ref: string | undefined,
  source: BuildSource | undefined,
  imageOptions: PlainImageOptions,
  inputs: BuildInputs,
  options: TreeBuildOptions,
): Promise<PlannedBuild> {
  const { cache } = inputs.blobOptions;
  const { baseImage } = imageOptions;
  const treeInputs = { ...inputs, layers: source?.layers, base: baseImage, cache };
  const planFormat =
    options.format === 'ostree' ? (await import('./commit.js')).planCommit : planPlain;
  const plan = async () => {
    const tree = await openBuildTree(options, ref, treeInputs);
    try {
      return await planFormat(tree, imageOptions, inputs, options);
    } catch (error) {
      tree.close?.();
      throw error;
    }
  };
  // A signal has to remove the spool, which may be as large as the image.
  return source === undefined ? computing(plan) : plan();
}

/** Decides which layer of a plain image holds what. */
async function planPlain(
  tree: LocatedTree,
  imageOptions: PlainImageOptions,
  { layoutOptions, blobOptions, log }: BuildInputs,
  { mtime }: TreeBuildOptions,
): Promise<PlannedBuild> {
  const { base, created = base?.created } = imageOptions;
  const { jobs } = blobOptions;
  const mtimes = { rule: mtime, epoch: created };
  warnAboutBootc(tree, plainLabels(imageOptions), log);
  const plan = await planPlainImage({ ...layoutOptions, tree, mtimes, jobs });
  return {
    plan,
    write: (writer) => writePlainImage(plan, writer, { ...imageOptions, ...blobOptions }),
  };
}

/** Adds the name of the image to the reference of an archive or a folder. */
function withTag(imgref: string, tag: string | undefined): string {
  if (tag === undefined) {
    return imgref;
  }
  const { transport, location } = parseImgref(imgref);
  if (!transport.name.startsWith('oci') || location.includes(':')) {
    throw new OstrataError('USAGE', `option --tag: ${imgref} cannot have or already has a name`);
  }
  return `${imgref}:${tag}`;
}

/** Warns of what clients of a bootable image will not accept. */
function warnAboutBootc(
  { files }: LocatedTree,
  labels: Readonly<Record<string, string | undefined>>,
  log: Logger,
): void {
  const isBootable =
    files.get('/usr/lib/bootc') !== undefined && files.get('/usr/lib/modules') !== undefined;
  if (isBootable && labels[CONTAINERS_BOOTC] === undefined) {
    log.warn(
      `the tree looks like a bootc image, but the image has no label ${CONTAINERS_BOOTC}: bootc ` +
        `will warn and may refuse it; --label ${CONTAINERS_BOOTC}=1 adds the label`,
    );
  }
  if (files.get('/sysroot/ostree') !== undefined) {
    log.warn(
      '/sysroot/ostree holds an ostree repository, which would be in the image; ' +
        '--prune /sysroot/ leaves it out',
    );
  }
}
