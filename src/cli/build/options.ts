/** The options of `build`: which tree becomes the image, and what the image says about itself. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BlobCache } from '../../blobs/cache.js';
import { layerIndexStore } from '../../blobs/layer-indexes.js';
import type { Labels } from '../../builder/image-config.js';
import { MTIME_RULES, type MtimeRule } from '../../builder/mtimes.js';
import type { PlainImageOptions } from '../../builder/plain-config.js';
import { inContext, inContextAsync, must, OstrataError } from '../../errors.js';
import { LEFT_OUT_XATTRS } from '../../layers/plain-spec.js';
import { type Context, duringWork } from '../../log.js';
import { type BaseConfig, parseBaseConfig } from '../../oci/base-config.js';
import { goArchitecture } from '../../oci/platform.js';
import { openRepo } from '../../ostree/repo.js';
import { openLargeCommitTree } from '../../tree/commit.js';
import type { LocatedTree } from '../../tree/content-location.js';
import { deployedTree } from '../../tree/deployed-tree.js';
import { openDirectoryTree } from '../../tree/directory-tree.js';
import type { BaseImage } from '../../tree/kept-base.js';
import { policyLabels } from '../../tree/labels.js';
import type { LayerSource } from '../../tree/layer-source.js';
import { pruneMatcher } from '../../tree/prune.js';
import { sourceDateEpoch } from '../container/encapsulate-options.js';
import { repeated } from '../options/values.js';
import type { CommitOptions } from './commit-options.js';

/** Options that say or write what only one image can have. */
const OF_ONE_IMAGE = [
  'platform',
  'arch',
  'config',
  'configStr',
  'parent',
  'writeCommitTo',
  'writeContentmetaJson',
  'deltaFrom',
];

/** Which tree becomes the image. */
export interface TreeOptions extends Pick<CommitOptions, 'format' | 'selinux'> {
  readonly rootfs?: string | undefined;
  /** The reference of an image, or `tar:FILE`. */
  readonly from?: string | undefined;
  /** The reference of the image that it begins with. */
  readonly base?: string | undefined;
  /** Whether all images of an index are built, and not one. */
  readonly allPlatforms?: boolean | undefined;
  /** Path of the folder for the layers of that image. */
  readonly spool?: string | undefined;
  readonly repo?: string | undefined;
  readonly prune?: readonly string[] | undefined;
  readonly oneFileSystem?: boolean | undefined;
  readonly skipSpecialFiles?: boolean | undefined;
  readonly mtime: MtimeRule;
}

export function treeOptions(command: Command): Command {
  return directoryOptions(command)
    .addOption(
      new Option(
        '--from <imgref>',
        'build this image again, with the config that it has, without unpacking it; tar:FILE or ' +
          'tar:- (stdin) is a root file system as a tar, plain or compressed by gzip or zstd',
      ).conflicts(['rootfs', 'repo']),
    )
    .addOption(
      new Option(
        '--all-platforms',
        'with --from: build every image of an index, each with that for its platform of ' +
          '--previous-build and --base, and write an index of them',
      ).conflicts(OF_ONE_IMAGE),
    )
    .option(
      '--base <imgref>',
      'with --from: keep the layers of this image as they are, and build only what is above ' +
        'them; the image that --from names has to begin with these layers; `auto` is the image ' +
        'that buildah or podman recorded as its base',
    )
    .option(
      '--spool <dir>',
      'the folder for large temporary files: with --from, the uncompressed layers of that image; ' +
        'new layers until they are uploaded (default: TMPDIR or /var/tmp)',
    )
    .addOption(
      new Option(
        '--repo <path>',
        'build the image of a commit in this ostree repository',
      ).conflicts('rootfs'),
    )
    .addOption(mtimeOption('packaged'));
}

/** The options of a tree that is a folder. */
export function directoryOptions(command: Command): Command {
  return command
    .optionsGroup('Tree:')
    .option('--rootfs <dir>', 'build the image of the root file system in this folder')
    .option(
      '--prune <path>',
      'leave out this absolute path, or with a slash at its end what is below it; ' +
        '*, ? and [..] stand for other characters of a name (repeatable)',
      repeated,
    )
    .option('--one-file-system', 'leave directories empty on which another file system is mounted')
    .option('--skip-special-files', 'leave out sockets, pipes and devices instead of failing');
}

export function mtimeOption(standard: MtimeRule): Option {
  return new Option(
    '--mtime <rule>',
    'times of files: as their package recorded them, else 0 (packaged); always 0 (zero); ' +
      'those of the tree, but not after the build of the package (clamp); those of the tree ' +
      '(keep)',
  )
    .choices(MTIME_RULES)
    .default(standard);
}

/** What the config of the image says. */
export interface ConfigOptions {
  /** Path of a JSON file. */
  readonly config?: string | undefined;
  readonly configStr?: string | undefined;
  readonly label?: readonly string[] | undefined;
  readonly annotation?: readonly string[] | undefined;
  readonly arch?: string | undefined;
  /** Seconds since 1970. */
  readonly created?: number | undefined;
  readonly tag?: string | undefined;
}

export function configOptions(command: Command): Command {
  return timelessConfigOptions(command).option(
    '--created <time>',
    'when the image was made, RFC 3339 or seconds since 1970 ' +
      '(default: SOURCE_DATE_EPOCH, else that of the config, else of the newest package)',
    time,
  );
}

/** The same options without the time of the image. */
export function timelessConfigOptions(command: Command): Command {
  return command
    .optionsGroup('Image config:')
    .addOption(
      new Option(
        '--config <file>',
        'start from this config: that of an OCI image, or what `podman inspect` or ' +
          '`docker inspect` prints',
      ).conflicts('configStr'),
    )
    .addOption(
      new Option('--config-str <json>', 'start from this config, given as text').env(
        'CHUNKAH_CONFIG_STR',
      ),
    )
    .option(
      '-l, --label <key=value>',
      'set a label; KEY- removes one, - removes all; in the order given (repeatable)',
      edit,
    )
    .option(
      '--annotation <key=value>',
      'set or remove an annotation of the manifest, like a label (repeatable)',
      edit,
    )
    .option(
      '--arch <arch>',
      'architecture of the image, as RPM or Go names it (default: that of the config, else ' +
        'that of most packages)',
    )
    .option(
      '-t, --tag <name>',
      'the name of the image in an archive or an image layout, where none is in the reference',
    );
}

/** Checks one change of labels: `KEY=VALUE`, `KEY-` or `-`. */
function edit(text: string, previous: readonly string[] = []): readonly string[] {
  const isEdit = text === '-' || /^[^=]+(=|-$)/s.test(text);
  if (!isEdit) {
    throw new InvalidArgumentError('expected KEY=VALUE, KEY- or -.');
  }
  return [...previous, text];
}

function time(text: string): number {
  if (/^\d{1,11}$/.test(text)) {
    return Number(text);
  }
  const milliseconds = Date.parse(text);
  if (!(milliseconds >= 0)) {
    throw new InvalidArgumentError('expected an RFC 3339 time or seconds since 1970.');
  }
  return Math.floor(milliseconds / 1000);
}

/** What else a build of a tree needs. */
export interface TreeInputs extends Context {
  /** What `--from` names. */
  readonly layers: LayerSource | undefined;
  /** The image that `--base` names. */
  readonly base: BaseImage | undefined;
  /** Keeps what was found out about layers. */
  readonly cache: BlobCache | undefined;
}

/** Throws `USAGE` if the arguments name no tree. */
export function checkTree({ rootfs, from, repo }: TreeOptions, ref: string | undefined): void {
  const isNamed = repo === undefined ? (rootfs ?? from) !== undefined : ref !== undefined;
  if (!isNamed) {
    throw new OstrataError(
      'USAGE',
      'expected --rootfs DIR, --from IMGREF, or --repo REPO and a ref',
    );
  }
}

/** Opens the tree that the options name, which {@link checkTree} has accepted. */
export async function openBuildTree(
  options: TreeOptions,
  ref: string | undefined,
  { layers, base, cache, log, signal }: TreeInputs,
): Promise<LocatedTree> {
  const { prune = [], repo, rootfs, spool, oneFileSystem, skipSpecialFiles } = options;
  const { format, selinux = 'auto' } = options;
  const isCommit = format === 'ostree';
  // What is there can be a whole repository, which need not be read.
  const isPruned = pruneMatcher(isCommit ? [...prune, '/sysroot/'] : prune);
  const jobs = availableParallelism();
  const labels = isCommit ? policyLabels(selinux, log) : undefined;
  if (layers !== undefined) {
    const { openSpooledImage } = await import('../../tree/spooled-image.js');
    return openSpooledImage(layers, {
      log,
      signal,
      jobs,
      spool,
      base,
      isPruned,
      skipSpecialFiles,
      labels,
      indexes: cache && layerIndexStore(cache),
    });
  }
  return duringWork(log, 'reading the tree', async () => {
    if (repo !== undefined && ref !== undefined) {
      const opened = openRepo(repo);
      return deployedTree(await openLargeCommitTree(opened, opened.resolve(ref), log), isPruned);
    }
    return openDirectoryTree(must(rootfs, '--rootfs'), {
      log,
      signal,
      jobs,
      isPruned,
      oneFileSystem,
      skipSpecialFiles,
      ignoredXattrs: labels === undefined ? LEFT_OUT_XATTRS : [],
      labels,
    });
  });
}

/** Reads the config and applies the options to it. */
export async function readPlainImageOptions(options: ConfigOptions): Promise<PlainImageOptions> {
  const { label = [], annotation = [], arch, created } = options;
  return {
    base: await readBaseConfig(options),
    editLabels: (labels) => applyEdits(labels, label),
    editAnnotations: (annotations) => applyEdits(annotations, annotation),
    architecture: arch === undefined ? undefined : goArchitecture(arch),
    created: created ?? sourceDateEpoch(),
  };
}

async function readBaseConfig({
  config,
  configStr,
}: ConfigOptions): Promise<BaseConfig | undefined> {
  if (config !== undefined) {
    return inContextAsync(`config ${config}`, async () =>
      parseBaseConfig(await readFile(config, 'utf8')),
    );
  }
  return configStr ? inContext('--config-str', () => parseBaseConfig(configStr)) : undefined;
}

function applyEdits(labels: Labels, edits: readonly string[]): Labels {
  const result = new Map(Object.entries(labels));
  for (const text of edits) {
    const equals = text.indexOf('=');
    if (text === '-') {
      result.clear();
    } else if (equals > 0) {
      result.set(text.slice(0, equals), text.slice(equals + 1));
    } else {
      result.delete(text.slice(0, -1));
    }
  }
  return Object.fromEntries(result);
}
