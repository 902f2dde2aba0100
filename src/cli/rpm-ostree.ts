/**
 * `rpm-ostree compose`: the command line of https://github.com/coreos/rpm-ostree as far as it makes
 * images, so that pipelines which call rpm-ostree run unchanged. It only translates: the images are
 * made as by `ostrata container-encapsulate` and `ostrata build --format=ostree`.
 */
import { statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { OstrataError } from '../errors.js';
import { CONTAINERS_BOOTC } from '../oci/annotations.js';
import { IMGREF_FORMS, isImgref } from '../transports/image-reference.js';
import { build, type TreeBuildOptions } from './build/build.js';
import { directoryOptions, timelessConfigOptions } from './build/options.js';
import { type EncapsulateOptions, encapsulate } from './container/encapsulate.js';
import {
  formatVersionOption,
  imageConfigOptions,
  previousBuildOptions,
  sourceDateEpoch,
  WRITING_OPTIONS,
} from './container/encapsulate-options.js';
import { BUILD_COMMANDS } from './help.js';
import { useOptions } from './options/groups.js';
import { maxLayersOption } from './options/layers.js';
import { stableByDefault } from './options/plugins.js';

const NAME = 'rpm-ostree';
const CALLS = [
  'compose container-encapsulate',
  'compose build-chunked-oci',
  'experimental compose build-chunked-oci',
];

/** `ostrata rpm-ostree compose`. The command is not listed in the help: those of ostrata are. */
export function addRpmOstreeCommand(program: Command): void {
  const rpmOstree = program
    .command(NAME, { hidden: true })
    .helpGroup(BUILD_COMMANDS)
    .description('The commands that build images, as rpm-ostree spells them.');
  addRpmOstreeCommands(rpmOstree);
}

export function addRpmOstreeCommands(program: Command): void {
  program.option('-q, --quiet', 'print results and errors only, no warnings and no progress');
  const compose = addComposeCommand(program);
  addEncapsulateCommand(compose);
  addChunkedOciCommand(compose);
  const experimental = program
    .command('experimental', { hidden: true })
    .helpGroup(BUILD_COMMANDS)
    .description('Another place where rpm-ostree has commands.');
  const experimentalCompose = addComposeCommand(experimental);
  addChunkedOciCommand(experimentalCompose);
  for (const group of [program, compose, experimental, experimentalCompose]) {
    group.on('command:*', () => refuse(group));
  }
}

function addComposeCommand(program: Command): Command {
  return program
    .command('compose')
    .helpGroup(BUILD_COMMANDS)
    .summary('build images that hold an ostree commit')
    .description('Build images that hold an ostree commit.');
}

/** Refuses what else rpm-ostree does. */
function refuse({ args }: Command): never {
  const calls = CALLS.map((call) => `${NAME} ${call}`).join(', ');
  throw new OstrataError(
    'USAGE',
    `this is ostrata under the name ${NAME}, which has no command '${args[0]}'; ` +
      `it has ${calls} and ${NAME} --version`,
  );
}

function addEncapsulateCommand(compose: Command): void {
  const command = compose
    .command('container-encapsulate')
    .summary('turn an ostree commit into a container image of many layers')
    .description(
      'Turn an ostree commit into an OCI image whose layers follow the package database, with ' +
        'the options and defaults of rpm-ostree. `ostrata container-encapsulate` has more options.',
    )
    .argument('<ref>', 'a ref, remote:ref, a commit id or the beginning of one')
    .argument('<imgref>', `where to write: ${IMGREF_FORMS}`)
    .requiredOption('--repo <path>', 'the ostree repository that has the commit')
    .addHelpText('after', HELP)
    .action(async (ref: string, imgref: string) =>
      encapsulateAsRpmOstree(ref, imgref, command.optsWithGlobals()),
    );
  useOptions(command, [
    layerOptions,
    previousBuildOptions,
    imageConfigOptions,
    ...WRITING_OPTIONS,
    stableByDefault,
  ]);
}

function layerOptions(command: Command): Command {
  return command
    .optionsGroup('Layers:')
    .addOption(maxLayersOption('at most this many layers besides that of the commit', 1))
    .addOption(formatVersionOption().default('1'));
}

const HELP = `
Example:
  rpm-ostree compose container-encapsulate --repo=repo --max-layers=100 \\
    fedora/x86_64/coreos/stable oci-archive:image.ociarchive

Spaces separate the arguments in the value of --cmd.`;

/** Clients such as osbuild pass the words of `--cmd` as one value. */
async function encapsulateAsRpmOstree(
  ref: string,
  imgref: string,
  options: EncapsulateOptions,
): Promise<void> {
  const { maxLayers, cmd } = options;
  await encapsulate(ref, imgref, {
    ...options,
    maxLayers: maxLayers + 1,
    cmd: cmd?.flatMap((text) => text.split(/\s+/).filter(Boolean)),
  });
}

/** Options that `ostrata build` has under the same names, and those that only rpm-ostree has. */
interface ChunkedOciOptions extends Omit<TreeBuildOptions, 'previousBuild' | 'mtime'> {
  readonly output: string;
  readonly reference?: string | undefined;
  readonly previousBuild?: string | undefined;
}

function addChunkedOciCommand(compose: Command): void {
  const command = compose
    .command('build-chunked-oci')
    .summary('turn a root file system or an image into an image that holds an ostree commit')
    .description(
      'Turn a root file system or another image into an image that holds it as an ostree commit, ' +
        'with the options and defaults of rpm-ostree. `ostrata build --format=ostree` has more ' +
        'options.',
    )
    .requiredOption('--bootc', 'make an image that bootc boots; rpm-ostree wants this option')
    .addHelpText('after', CHUNKED_OCI_HELP)
    .action(async () => buildChunkedOci(command.optsWithGlobals()));
  useOptions(command, [
    sourceOptions,
    destinationOptions,
    layerOptions,
    previousImageOptions,
    timelessConfigOptions,
    ...WRITING_OPTIONS,
  ]);
}

function sourceOptions(command: Command): Command {
  return directoryOptions(command).addOption(
    new Option(
      '--from <image>',
      'build this image again, with the config that it has; without a transport, it is in ' +
        'containers-storage',
    ).conflicts('rootfs'),
  );
}

function destinationOptions(command: Command): Command {
  return command
    .optionsGroup('Image:')
    .requiredOption('--output <imgref>', `where to write: ${IMGREF_FORMS}`)
    .option('--reference <tag>', 'the tag of the image where the output has none');
}

function previousImageOptions(command: Command): Command {
  return command
    .optionsGroup('Previous build:')
    .option(
      '--previous-build <imgref>',
      'follow the layout of this image, if it is there, and reuse its layers that did not change ' +
        '(default: the image at the output)',
    )
    .option('--compare-with-build <imgref>', 'print what clients of this image have to download');
}

const CHUNKED_OCI_HELP = `
Examples:
  rpm-ostree compose build-chunked-oci --bootc --from=localhost/os:raw \\
    --output=containers-storage:localhost/os:latest
  rpm-ostree compose build-chunked-oci --bootc --rootfs=/mnt/root --format-version=2 \\
    --max-layers=127 --label=org.opencontainers.image.version=42 --output=oci-archive:os.oci

The time of the commit is SOURCE_DATE_EPOCH, else that of the config, else that
of the folder. No rights are needed except to read the tree.`;

async function buildChunkedOci(options: ChunkedOciOptions): Promise<void> {
  const { output, reference, from, label = [], annotation = [] } = options;
  const { maxLayers, previousBuild = 'auto' } = options;
  const labels = [`${CONTAINERS_BOOTC}=1`, ...label];
  await build(undefined, output, {
    ...options,
    format: 'ostree',
    mtime: 'zero',
    from: from === undefined || isImgref(from) ? from : `containers-storage:${from}`,
    tag: options.tag ?? reference,
    label: labels,
    annotation: [...labels, ...annotation],
    created: createdOf(options),
    maxLayers: maxLayers + 1,
    previousBuild: [previousBuild],
    isPreviousOptional: true,
  });
}

/** Returns the time of a folder for which no config states another; undefined for others. */
function createdOf({ rootfs, config, configStr }: ChunkedOciOptions): number | undefined {
  const isStated = (config ?? configStr) !== undefined || sourceDateEpoch() !== undefined;
  if (rootfs === undefined || isStated) {
    return undefined;
  }
  const stats = statSync(rootfs, { throwIfNoEntry: false });
  return stats && Math.floor(stats.mtimeMs / 1000);
}
