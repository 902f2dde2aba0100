/** The options of `container-encapsulate`, in the groups in which they are used. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import * as v from 'valibot';
import type { ImageOptions } from '../../builder/commit-config.js';
import { parseJson } from '../../bytes/json.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { FormatVersion } from '../../layers/spec.js';
import { goArchitecture } from '../../oci/platform.js';
import { sharedCacheOptions } from '../options/cache.js';
import { compressionOptions } from '../options/compression.js';
import { deltaOptions } from '../options/deltas.js';
import type { OptionGroup } from '../options/groups.js';
import { pluginOptions } from '../options/plugins.js';
import { registryOptions } from '../options/registry.js';
import { signingOptions } from '../options/signing.js';
import { integer, keyValue, logOptions, repeated } from '../options/values.js';

const MAX_JOBS = 1024;

/** Which layout the image has, and how its layers are written. */
export interface LayoutOptions {
  /** Path of a plan file. */
  readonly plan?: string | undefined;
  readonly formatVersion: '1' | '2';
}

export function layoutOptions(command: Command): Command {
  return command
    .optionsGroup('Layers:')
    .option('--plan <file>', 'put components into layers as this file says; see `layout plan`')
    .addOption(formatVersionOption().default('2'));
}

export function formatVersionOption(): Option {
  return new Option(
    '--format-version <n>',
    '2: each layer also holds the parent directories of its files; 1: it does not, and the ' +
      'image survives `ostree container image reexport` and `bootc image copy-to-storage`',
  ).choices(['1', '2']);
}

/** Returns the value of `--format-version` as a number; 2 unless it is given. */
export function formatVersionOf(value: '1' | '2' | undefined): FormatVersion {
  return value === '1' ? 1 : 2;
}

/** Which builds the image follows or is compared with. */
export interface PreviousBuildOptions {
  /** Image references, in age order. */
  readonly previousBuild?: readonly string[] | undefined;
  /** Path of a manifest file. */
  readonly previousBuildManifest?: string | undefined;
  readonly compareWithBuild?: string | undefined;
  /** Whether the build goes on without a previous build that is not there or cannot be read. */
  readonly isPreviousOptional?: boolean | undefined;
}

export function previousBuildOptions(command: Command): Command {
  return command
    .optionsGroup('Previous build:')
    .option(
      '--previous-build <imgref>',
      'follow the layout of this image, and reuse its layers that did not change; `auto` is the ' +
        'image that the new one replaces, if there is one; if repeated (oldest image first), the ' +
        'last one is followed and the others are its history',
      repeated,
    )
    .addOption(
      new Option(
        '--previous-build-manifest <file>',
        'follow the layout that this manifest describes',
      ).conflicts('previousBuild'),
    )
    .option('--compare-with-build <imgref>', 'print what clients of this image have to download');
}

/** What the config of the image says. */
export interface ImageConfigOptions {
  readonly label?: Readonly<Record<string, string>> | undefined;
  /** Path of a JSON file. */
  readonly imageConfig?: string | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly arch?: string | undefined;
  readonly copymeta?: readonly string[] | undefined;
  readonly copymetaOpt?: readonly string[] | undefined;
}

export function imageConfigOptions(command: Command): Command {
  return command
    .optionsGroup('Image config:')
    .option('-l, --label <key=value>', 'add this label to the image (repeatable)', keyValue)
    .option(
      '--image-config <file>',
      'start from this JSON, the "config" of an OCI image config (Env, Cmd, Labels, ...)',
    )
    .option(
      '--cmd <argument>',
      'the command that the image runs; repeat the option for its arguments',
      repeated,
    )
    .option('--arch <arch>', 'architecture, as RPM or Go names it (default: that of the commit)')
    .option(
      '--copymeta <key>',
      'copy this key of the commit metadata to a label (repeatable)',
      repeated,
    )
    .option(
      '--copymeta-opt <key>',
      'copy this key of the commit metadata if the commit has it (repeatable)',
      repeated,
    );
}

/** How the command works, and what it prints and writes beside the image. */
export interface OutputOptions {
  readonly jobs: number;
  readonly writeContentmetaJson?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

function outputOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--jobs <n>', 'layers written at the same time')
        .argParser(integer(1, MAX_JOBS))
        .default(availableParallelism(), 'one per processor'),
    )
    .option(
      '--write-contentmeta-json <file>',
      'write a JSON file that describes each component (name, size, how often it changes)',
    )
    .option('--dry-run', 'print the layers, and write no image')
    .option('--json', 'print the result as JSON');
}

/** Reads the image config file and SOURCE_DATE_EPOCH, and checks the architecture. */
export async function readImageOptions(options: ImageConfigOptions): Promise<ImageOptions> {
  const { label, imageConfig, cmd, arch, copymeta, copymetaOpt } = options;
  return {
    created: sourceDateEpoch(),
    labels: label,
    imageConfig: imageConfig === undefined ? undefined : await readImageConfig(imageConfig),
    cmd,
    architecture: arch === undefined ? undefined : goArchitecture(arch),
    copyMeta: copymeta,
    copyMetaOptional: copymetaOpt,
  };
}

/**
 * Returns SOURCE_DATE_EPOCH of the environment:
 * https://reproducible-builds.org/specs/source-date-epoch/
 */
export function sourceDateEpoch(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') {
    return undefined;
  }
  if (!/^\d{1,11}$/.test(text)) {
    throw new OstrataError(
      'USAGE',
      `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, expected seconds since 1970`,
    );
  }
  return Number(text);
}

/**
 * `config` of https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md. Members not named
 * here are kept unchanged.
 */
const imageConfigSchema = v.looseObject({
  Labels: v.nullish(v.record(v.string(), v.string())),
  Cmd: v.nullish(v.array(v.string())),
  Entrypoint: v.nullish(v.array(v.string())),
  Env: v.nullish(v.array(v.string())),
});

function readImageConfig(path: string): Promise<Readonly<Record<string, unknown>>> {
  return inContextAsync(`image config ${path}`, async () =>
    parseJson(await readFile(path, 'utf8'), imageConfigSchema),
  );
}

/** The last groups of each command that can write an encapsulated image. */
export const WRITING_OPTIONS: readonly OptionGroup[] = [
  signingOptions,
  outputOptions,
  pluginOptions,
  compressionOptions,
  sharedCacheOptions,
  deltaOptions,
  registryOptions,
  logOptions,
];
