import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { type ImagePlan, planImage, writeImage } from '../../builder/encapsulate.js';
import {
  type PreviousBuild,
  previousFromImage,
  previousFromImages,
  previousFromManifest,
} from '../../builder/previous.js';
import { parseJson } from '../../bytes/json.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { FormatVersion } from '../../layers/spec.js';
import type { Logger } from '../../log.js';
import { goArchitecture } from '../../oci/platform.js';
import {
  createImage,
  IMGREF_FORMS,
  openImage,
  parseImgref,
} from '../../transports/image-reference.js';
import type { ImageReader } from '../../transports/transport.js';
import { strategyOfPlan } from '../layout/plan.js';
import { buildOfImageReader } from '../layout/series.js';
import { type CacheOptions, cacheOptions, openCache } from '../options/cache.js';
import {
  type CompressionOptions,
  compressionOf,
  compressionOptions,
} from '../options/compression.js';
import { useOptions } from '../options/groups.js';
import { type LayerLimits, layerLimitOptions } from '../options/layers.js';
import {
  type LoadedPlugins,
  loadPlugins,
  type PluginOptions,
  pluginOptions,
} from '../options/plugins.js';
import {
  type OpenImage,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { integer, keyValue, logOptions, repeated } from '../options/values.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { contentMeta } from './contentmeta.js';
import {
  comparisonReport,
  jsonReport,
  plannedLayers,
  tableReport,
  updateReport,
  writtenLayers,
} from './encapsulate-report.js';

interface EncapsulateOptions
  extends LogOptions,
    PluginOptions,
    RegistryOptions,
    CacheOptions,
    CompressionOptions,
    LayerLimits {
  readonly repo: string;
  readonly label?: Readonly<Record<string, string>> | undefined;
  readonly imageConfig?: string | undefined;
  readonly arch?: string | undefined;
  readonly copymeta?: readonly string[] | undefined;
  readonly copymetaOpt?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly formatVersion: FormatVersion;
  readonly plan?: string | undefined;
  readonly previousBuild?: readonly string[] | undefined;
  readonly previousBuildManifest?: string | undefined;
  readonly compareWithBuild?: string | undefined;
  readonly writeContentmetaJson?: string | undefined;
  readonly jobs: number;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export function addContainerEncapsulateCommand(program: Command): void {
  const command = program
    .command('container-encapsulate')
    .summary('turn an ostree commit into a container image of many layers')
    .description(
      'Turn an ostree commit into an OCI image whose layers follow the RPM database of the commit: packages that change ' +
        'together share a layer, so that an update downloads only the layers that changed. Clients such as bootc and ' +
        'rpm-ostree pull the image and have the commit again.',
    )
    .argument('<ref>', 'ref, remote:ref, commit id or its unique beginning')
    .argument('<imgref>', `where to write: ${IMGREF_FORMS}`)
    .requiredOption('--repo <path>', 'the ostree repository')
    .option('--plan <file>', 'follow this plan file; see layout plan')
    .option(
      '--previous-build <imgref>',
      'keep to the layout of this image, and reuse its layers that did not change; if repeated, in age order, the ' +
        'last is meant and the older ones are its history',
      repeated,
    )
    .option('--previous-build-manifest <file>', 'keep to the layout that this manifest tells of')
    .option('--compare-with-build <imgref>', 'tell what clients of this image have to download')
    .option('-l, --label <key=value>', 'add a label (repeatable)', keyValue)
    .option(
      '--image-config <file>',
      'start from this JSON, the "config" of an OCI image config (Env, Cmd, Labels, ...)',
    )
    .option('--cmd <argument>', "the image's command; repeat for its arguments", repeated)
    .option('--arch <arch>', 'architecture, as RPM or Go names it (default: what the commit says)')
    .option(
      '--copymeta <key>',
      'copy this key of the commit metadata to a label (repeatable)',
      repeated,
    )
    .option('--copymeta-opt <key>', 'the same, if the key is there (repeatable)', repeated)
    .addOption(
      new Option(
        '--format-version <n>',
        '2: every layer has its parent directories with their metadata; 1: it has not',
      )
        .choices(['1', '2'])
        .default('2'),
    )
    .addOption(
      new Option('--jobs <n>', 'layers written at the same time')
        .argParser(integer(1, 1024))
        .default(availableParallelism(), 'one per processor'),
    )
    .option('--write-contentmeta-json <file>', 'write what is known of each component as JSON')
    .option('--dry-run', 'print the layers, write no image')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Examples:
  ostrata container-encapsulate --repo=repo fedora/x86_64/coreos/stable oci:image:latest
  ostrata container-encapsulate --repo=repo --previous-build=oci:image:latest fedora/x86_64/coreos/stable oci:image:next
  ostrata container-encapsulate --repo=repo --previous-build=registry:quay.io/os/base:39 fedora/x86_64/coreos/stable registry:quay.io/os/base:40

SOURCE_DATE_EPOCH in the environment replaces the commit's time in the image.`,
    )
    .action(encapsulate);
  useOptions(command, [
    layerLimitOptions,
    pluginOptions,
    compressionOptions,
    cacheOptions,
    registryOptions,
    logOptions,
  ]);
}

async function encapsulate(
  ref: string,
  imgref: string,
  options: EncapsulateOptions,
): Promise<void> {
  parseImgref(imgref);
  const log = terminalLogger(options);
  const signal = interruptSignal;
  const compression = compressionOf(options);
  const imageOptions = await imageOptionsOf(options);
  const { architecture } = imageOptions;
  // Of an index, the image this one is to follow is the one for the same architecture.
  const platform =
    options.platform ?? (architecture === undefined ? undefined : { os: 'linux', architecture });
  const others = [...(options.previousBuild ?? []), options.compareWithBuild].filter(
    (each) => each !== undefined,
  );
  const reach = transportOptions(
    { ...options, ...(platform && { platform }) },
    [imgref, ...others],
    log,
  );
  const open: OpenImage = (reference) => openImage(reference, reach(reference));
  const plugins = await loadPlugins(options);
  const previous = await previousBuild(options, plugins, open, log);
  const compared =
    options.compareWithBuild &&
    (await previousFromImage(await open(options.compareWithBuild), log));
  const plan = await planImage({
    ...plugins,
    ...(options.plan !== undefined && { strategy: await strategyOfPlan(options.plan, log) }),
    repo: options.repo,
    ref,
    maxLayers: options.maxLayers,
    ...(options.maxLayerSize !== undefined && { maxLayerSize: options.maxLayerSize }),
    formatVersion: Number(options.formatVersion) as FormatVersion,
    ...(previous && { previous }),
    log,
    signal,
  });
  if (options.writeContentmetaJson !== undefined) {
    await writeContentMeta(options.writeContentmetaJson, plan);
  }

  const cache = options.dryRun ? undefined : openCache(options, log);
  const image = options.dryRun
    ? undefined
    : await writeImage(plan, await createImage(imgref, reach(imgref)), {
        ...imageOptions,
        compression,
        jobs: options.jobs,
        ...(cache && { cache }),
        ...(previous && { previous }),
        log,
        signal,
      });
  const layers = image ? writtenLayers(image) : plannedLayers(plan);
  if (options.json) {
    return console.log(JSON.stringify(jsonReport(plan, layers, image)));
  }
  console.log(tableReport(plan, layers, image && { imgref, ...image }));
  if (previous) {
    console.log(updateReport(plan, layers, options.previousBuild?.at(-1) ?? 'the previous build'));
  }
  if (compared) {
    console.log(comparisonReport(plan, layers, compared));
  }
}

async function previousBuild(
  { previousBuild: imgrefs, previousBuildManifest: manifest }: EncapsulateOptions,
  { sources }: LoadedPlugins,
  open: OpenImage,
  log: Logger,
): Promise<PreviousBuild | undefined> {
  if (imgrefs !== undefined && manifest !== undefined) {
    throw new OstrataError(
      'USAGE',
      'options --previous-build and --previous-build-manifest exclude each other',
    );
  }
  if (imgrefs !== undefined) {
    const images: ImageReader[] = [];
    for (const imgref of imgrefs) {
      images.push(await open(imgref));
    }
    const read = async (image: ImageReader) =>
      (await buildOfImageReader(image, { sources, log })).components;
    return previousFromImages(images, read, log);
  }
  return manifest === undefined ? undefined : previousFromManifest(manifest, log);
}

async function imageOptionsOf({
  label,
  imageConfig,
  cmd,
  arch,
  copymeta,
  copymetaOpt,
}: EncapsulateOptions) {
  const created = sourceDateEpoch();
  return {
    ...(label && { labels: label }),
    ...(imageConfig !== undefined && { imageConfig: await readImageConfig(imageConfig) }),
    ...(cmd && { cmd }),
    ...(arch !== undefined && { architecture: goArchitecture(arch) }),
    ...(copymeta && { copyMeta: copymeta }),
    ...(copymetaOpt && { copyMetaOptional: copymetaOpt }),
    ...(created !== undefined && { created }),
  };
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
function sourceDateEpoch(): number | undefined {
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

/** `config` of https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md; members not named here are kept as they are. */
const imageConfigSchema = v.looseObject({
  Labels: v.nullish(v.record(v.string(), v.string())),
  Cmd: v.nullish(v.array(v.string())),
  Entrypoint: v.nullish(v.array(v.string())),
  Env: v.nullish(v.array(v.string())),
});

async function readImageConfig(path: string): Promise<Readonly<Record<string, unknown>>> {
  return inContextAsync(`image config ${path}`, async () =>
    parseJson(await readFile(path, 'utf8'), imageConfigSchema),
  );
}

async function writeContentMeta(path: string, plan: ImagePlan): Promise<void> {
  await inContextAsync(`writing ${path}`, () =>
    writeFile(path, `${JSON.stringify(contentMeta(plan.components))}\n`),
  );
}
