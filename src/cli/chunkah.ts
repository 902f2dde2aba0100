/**
 * `chunkah build`: the command line of https://github.com/coreos/chunkah, so that pipelines which
 * call chunkah run unchanged. It only translates: the image is made as by `ostrata build`.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { OstrataError } from '../errors.js';
import { STORAGE_LAYERS } from '../layout/max-layers.js';
import { isImgref } from '../transports/image-reference.js';
import { ARCHIVE_ON_STDOUT } from '../transports/oci/archive-transport.js';
import { build, type TreeBuildOptions } from './build/build.js';
import { directoryOptions, mtimeOption, timelessConfigOptions } from './build/options.js';
import { previousBuildOptions } from './container/encapsulate-options.js';
import { BUILD_COMMANDS } from './help.js';
import { useOptions } from './options/groups.js';
import { maxLayersOption } from './options/layers.js';
import { pluginOptions, stableByDefault } from './options/plugins.js';
import { registryOptions } from './options/registry.js';
import { integer, logOptions } from './options/values.js';
import { terminalLogger } from './output/terminal.js';

const NAME = 'chunkah';
const GZIP_LEVEL = 6;
const MAX_GZIP_LEVEL = 9;
const MAX_THREADS = 1024;
const MAX_EPOCH = 99_999_999_999;

/** Options that `ostrata build` has under the same names, and those that only chunkah has. */
interface ChunkahOptions extends TreeBuildOptions {
  readonly output?: string | undefined;
  readonly compressed?: boolean | undefined;
  readonly compressionLevel: number;
  readonly sourceDateEpoch?: number | undefined;
  /** 0 means one for each processor. */
  readonly threads: number;
}

/** `ostrata chunkah build`. The command is not listed in the help: `build` is. */
export function addChunkahCommand(program: Command): void {
  const chunkah = program
    .command(NAME, { hidden: true })
    .helpGroup(BUILD_COMMANDS)
    .description('The command that builds images, as chunkah spells it.');
  addChunkahBuildCommand(chunkah);
}

export function addChunkahBuildCommand(program: Command): void {
  program.option('-v, --verbose', 'print more detail');
  const command = program
    .command('build')
    .helpGroup(BUILD_COMMANDS)
    .summary('turn a root file system into a plain image of many layers')
    .description(
      'Turn a root file system into a plain container image whose layers change together, with ' +
        'the options and defaults of chunkah. `ostrata build` has more options.',
    )
    .addHelpText('after', HELP)
    .action(async () => buildAsChunkah(command.optsWithGlobals()));
  useOptions(command, [
    directoryOptions,
    imageOptions,
    timelessConfigOptions,
    previousBuildOptions,
    pluginOptions,
    stableByDefault,
    registryOptions,
    logOptions,
  ]);
}

function imageOptions(command: Command): Command {
  return command
    .optionsGroup('Image:')
    .addOption(mtimeOption('clamp'))
    .option(
      '-o, --output <imgref>',
      'where to write: oci:DIR, which must be empty or not exist, oci-archive:FILE, or only FILE ' +
        'for an archive (default: an archive on stdout)',
    )
    .addOption(maxLayersOption('at most this many layers in the image', 1))
    .option('--compressed', 'compress the layers with gzip; an archive of them stays a plain tar')
    .addOption(
      new Option('--compression-level <n>', 'from 0 (not compressed) to 9 (small)')
        .argParser(integer(0, MAX_GZIP_LEVEL))
        .default(GZIP_LEVEL),
    )
    .option(
      '--source-date-epoch <seconds>',
      'when the image was made; files without a package are not newer ' +
        '(default: SOURCE_DATE_EPOCH, else that of the config)',
      integer(0, MAX_EPOCH),
    )
    .addOption(
      new Option('-T, --threads <n>', 'layers written at the same time; 0: one per processor')
        .argParser(integer(0, MAX_THREADS))
        .default(0)
        .env('CHUNKAH_THREADS'),
    );
}

const HELP = `
Examples:
  chunkah build --rootfs=/mnt/root | podman load
  chunkah build --rootfs=/mnt/root --prune=/sysroot/ --max-layers=128 --output=oci:out
  CHUNKAH_CONFIG_STR=$(podman inspect IMAGE) chunkah build --rootfs=/mnt/root -o image.oci

CHUNKAH_ROOTFS in the environment is the folder, unless --rootfs is given.

What differs from chunkah: the clock is never read. If nothing states the time
of the image, it is that of the newest package, and files without a package keep
their time. A tree without a package database is split by directories and large
files. Unlike \`ostrata build\`, this command keeps no cache of layers.`;

async function buildAsChunkah(options: ChunkahOptions): Promise<void> {
  const { maxLayers, threads, compressed, sourceDateEpoch } = options;
  if (maxLayers > STORAGE_LAYERS) {
    const warning = `--max-layers ${maxLayers}: podman stores at most ${STORAGE_LAYERS} layers`;
    terminalLogger(options).warn(warning);
  }
  await build(undefined, outputOf(options.output), {
    ...options,
    rootfs: options.rootfs ?? process.env.CHUNKAH_ROOTFS,
    arch: options.arch === 'powerpc64' ? 'ppc64le' : options.arch,
    created: sourceDateEpoch,
    createdBy: NAME,
    compression: compressed ? 'gzip' : 'none',
    jobs: threads === 0 ? availableParallelism() : threads,
    cache: false,
    cacheSize: 0,
    reportsOnStderr: true,
  });
}

/** Returns the image reference that `--output` means. */
function outputOf(output: string | undefined): string {
  if (output === undefined) {
    return ARCHIVE_ON_STDOUT;
  }
  if (!isImgref(output)) {
    // A colon in a path is no transport: parsing the reference names those that exist.
    return output.includes(':') ? output : `oci-archive:${output}`;
  }
  const [, path = ''] = /^oci:([^:]+)/.exec(output) ?? [];
  if (existsSync(path) && !isEmptyDirectory(path)) {
    throw new OstrataError('UNSUPPORTED', `option --output: ${path} exists and is not empty`);
  }
  return output;
}

function isEmptyDirectory(path: string): boolean {
  return statSync(path).isDirectory() && readdirSync(path).length === 0;
}
