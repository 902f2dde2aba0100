/**
 * `rpm-ostree compose`: the command line of https://github.com/coreos/rpm-ostree as far as it makes
 * images, so that pipelines which call rpm-ostree run unchanged. It only translates: the images are
 * made as by `ostrata container-encapsulate` and `ostrata build`.
 */
import type { Command } from 'commander';
import { OstrataError } from '../errors.js';
import { IMGREF_FORMS } from '../transports/image-reference.js';
import { type EncapsulateOptions, encapsulate } from './container/encapsulate.js';
import {
  formatVersionOption,
  imageConfigOptions,
  outputOptions,
  previousBuildOptions,
} from './container/encapsulate-options.js';
import { BUILD_COMMANDS } from './help.js';
import { cacheOptions } from './options/cache.js';
import { compressionOptions } from './options/compression.js';
import { useOptions } from './options/groups.js';
import { maxLayersOption } from './options/layers.js';
import { pluginOptions } from './options/plugins.js';
import { registryOptions } from './options/registry.js';
import { signingOptions } from './options/signing.js';
import { logOptions } from './options/values.js';

const NAME = 'rpm-ostree';
const CALLS = ['compose container-encapsulate'];

/** `ostrata rpm-ostree compose`. The command is not listed in the help: those of ostrata are. */
export function addRpmOstreeCommand(program: Command): void {
  const rpmOstree = program
    .command(NAME, { hidden: true })
    .helpGroup(BUILD_COMMANDS)
    .description('The commands that build images, as rpm-ostree spells them.');
  addRpmOstreeCommands(rpmOstree);
}

export function addRpmOstreeCommands(program: Command): void {
  const compose = program
    .command('compose')
    .helpGroup(BUILD_COMMANDS)
    .summary('build images that hold an ostree commit')
    .description('Build images that hold an ostree commit.');
  addEncapsulateCommand(compose);
  for (const group of [program, compose]) {
    group.on('command:*', () => refuse(group));
  }
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
    .action(encapsulateAsRpmOstree);
  useOptions(command, [
    layerOptions,
    previousBuildOptions,
    imageConfigOptions,
    signingOptions,
    outputOptions,
    pluginOptions,
    compressionOptions,
    cacheOptions,
    registryOptions,
    logOptions,
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
