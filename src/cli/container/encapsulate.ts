/** `ostrata container-encapsulate`: an ostree commit in, an image of many layers out. */

import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Compression } from '../../blobs/compress.js';
import type { ImageOptions } from '../../builder/config.js';
import {
  type ImagePlan,
  type PlanImageOptions,
  planImage,
  type WrittenImage,
  writeImage,
} from '../../builder/encapsulate.js';
import {
  type PreviousBuild,
  previousFromImage,
  previousFromImages,
  previousFromManifest,
} from '../../builder/previous.js';
import { inContextAsync } from '../../errors.js';
import type { Context } from '../../log.js';
import type { ContentSource } from '../../plugin.js';
import {
  createImage,
  IMGREF_FORMS,
  openImage,
  parseImgref,
} from '../../transports/image-reference.js';
import type { ImageReader, TransportOptions } from '../../transports/transport.js';
import { BUILD_COMMANDS } from '../help.js';
import { buildOfImageReader } from '../layout/series.js';
import { strategyOfPlan } from '../layout/source.js';
import { type CacheOptions, cacheOptions, openCache } from '../options/cache.js';
import {
  type CompressionOptions,
  compressionOf,
  compressionOptions,
} from '../options/compression.js';
import { useOptions } from '../options/groups.js';
import { type LayerLimits, layerLimitOptions } from '../options/layers.js';
import { loadPlugins, type PluginOptions, pluginOptions } from '../options/plugins.js';
import {
  type OpenImage,
  type RegistryOptions,
  registryOptions,
  transportOptions,
} from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { print } from '../output/print.js';
import { keepWarnings, type LogOptions, terminalLogger } from '../output/terminal.js';
import { computing, interruptSignal } from '../run.js';
import { contentMeta } from './content-meta.js';
import {
  type ImageConfigOptions,
  imageConfigOptions,
  type LayoutOptions,
  layoutOptions,
  type OutputOptions,
  outputOptions,
  type PreviousBuildOptions,
  previousBuildOptions,
  readImageOptions,
} from './encapsulate-options.js';
import {
  comparisonReport,
  jsonReport,
  plannedLayers,
  type ReportedBuild,
  tableReport,
  updateReport,
  writtenLayers,
} from './encapsulate-report.js';

interface EncapsulateOptions
  extends LayerLimits,
    LayoutOptions,
    PreviousBuildOptions,
    ImageConfigOptions,
    OutputOptions,
    PluginOptions,
    CompressionOptions,
    CacheOptions,
    RegistryOptions,
    LogOptions {
  readonly repo: string;
}

export function addContainerEncapsulateCommand(program: Command): void {
  const command = program
    .command('container-encapsulate')
    .helpGroup(BUILD_COMMANDS)
    .summary('turn an ostree commit into a container image of many layers')
    .description(
      'Turn an ostree commit into an OCI image whose layers follow the RPM database of the ' +
        'commit: packages that change together share a layer, so that an update downloads only ' +
        'the layers that changed. Files without a package are grouped by what they are and where ' +
        'they are. Clients such as bootc and rpm-ostree recover the commit when they pull the ' +
        'image.',
    )
    .argument('<ref>', 'a ref, remote:ref, a commit id or the beginning of one')
    .argument('<imgref>', `where to write: ${IMGREF_FORMS}`)
    .requiredOption('--repo <path>', 'the ostree repository that has the commit')
    .addHelpText(
      'after',
      `
Examples:
  ostrata container-encapsulate --repo=repo fedora/x86_64/coreos/stable oci:image:latest
  ostrata container-encapsulate --repo=repo --previous-build=oci:image:latest \\
    fedora/x86_64/coreos/stable oci:image:next
  ostrata container-encapsulate --repo=repo --previous-build=registry:quay.io/os/base:39 \\
    fedora/x86_64/coreos/stable registry:quay.io/os/base:40

SOURCE_DATE_EPOCH in the environment replaces the commit's time in the image.`,
    )
    .action(encapsulate);
  useOptions(command, [
    layerLimitOptions,
    layoutOptions,
    previousBuildOptions,
    imageConfigOptions,
    outputOptions,
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
  const inputs = await readInputs(ref, imgref, options);
  const plan = await computing(() => planImage(inputs.planOptions));
  if (options.writeContentmetaJson !== undefined) {
    await writeContentMeta(options.writeContentmetaJson, plan);
  }
  const image = options.dryRun ? undefined : await write(plan, inputs, options);
  report(plan, image, inputs, options);
}

/** What was read from the command line and from the files and images that it names. */
interface Inputs extends Context, ReportedBuild {
  readonly optionsFor: (imgref: string) => TransportOptions;
  readonly compression: Compression;
  readonly imageOptions: ImageOptions;
  readonly planOptions: PlanImageOptions;
  /** The build that the new image is compared with, without following its layout. */
  readonly comparedBuild: PreviousBuild | undefined;
}

async function readInputs(
  ref: string,
  imgref: string,
  options: EncapsulateOptions,
): Promise<Inputs> {
  parseImgref(imgref);
  const compression = compressionOf(options);
  const { log, warnings } = keepWarnings(terminalLogger(options));
  const context: Context = { log, signal: interruptSignal };
  const imageOptions = await readImageOptions(options);
  const optionsFor = transportOptionsOf(imgref, imageOptions, options, context);
  const open: OpenImage = (reference) => openImage(reference, optionsFor(reference));
  const { sources, strategy } = await loadPlugins(options);

  const { compareWithBuild, plan } = options;
  const previous = await openPreviousBuild(options, sources, open, context);
  const comparedBuild =
    compareWithBuild === undefined
      ? undefined
      : await previousFromImage(await open(compareWithBuild), log);

  const planOptions: PlanImageOptions = {
    repo: options.repo,
    ref,
    sources,
    strategy: plan === undefined ? strategy : await strategyOfPlan(plan, log),
    maxLayers: options.maxLayers,
    maxLayerSize: options.maxLayerSize,
    formatVersion: options.formatVersion === '1' ? 1 : 2,
    previous,
    ...context,
  };
  const previousName = options.previousBuild?.at(-1) ?? options.previousBuildManifest;
  return {
    ...context,
    ...{ imgref, previousName, warnings, comparedBuild },
    ...{ optionsFor, compression, imageOptions, planOptions },
  };
}

function transportOptionsOf(
  imgref: string,
  { architecture }: ImageOptions,
  options: EncapsulateOptions,
  { log }: Context,
): Inputs['optionsFor'] {
  const { previousBuild = [], compareWithBuild } = options;
  const imgrefs = [imgref, ...previousBuild];
  if (compareWithBuild !== undefined) {
    imgrefs.push(compareWithBuild);
  }
  // In a multi-platform index, the previous build is the image for the same architecture.
  const samePlatform = architecture === undefined ? undefined : { os: 'linux', architecture };
  const platform = options.platform ?? samePlatform;
  return transportOptions({ ...options, platform }, imgrefs, log);
}

async function openPreviousBuild(
  { previousBuild: imgrefs, previousBuildManifest: manifest }: PreviousBuildOptions,
  sources: readonly ContentSource[],
  open: OpenImage,
  { log }: Context,
): Promise<PreviousBuild | undefined> {
  if (imgrefs === undefined) {
    return manifest === undefined ? undefined : previousFromManifest(manifest, log);
  }
  const images: ImageReader[] = [];
  for (const imgref of imgrefs) {
    images.push(await open(imgref));
  }
  const readComponents = async (image: ImageReader) => {
    const { components } = await buildOfImageReader(image, { sources, log });
    return components;
  };
  return previousFromImages(images, readComponents, log);
}

async function writeContentMeta(path: string, plan: ImagePlan): Promise<void> {
  await inContextAsync(`writing ${path}`, () =>
    writeFile(path, `${JSON.stringify(contentMeta(plan.components))}\n`),
  );
}

async function write(
  plan: ImagePlan,
  { imgref, optionsFor, compression, imageOptions, log, signal }: Inputs,
  options: EncapsulateOptions,
): Promise<WrittenImage> {
  const cache = openCache(options, log);
  const writer = await createImage(imgref, optionsFor(imgref));
  const { jobs } = options;
  return writeImage(plan, writer, { ...imageOptions, compression, jobs, cache, log, signal });
}

/** @param image undefined in a dry run */
function report(
  plan: ImagePlan,
  image: WrittenImage | undefined,
  inputs: Inputs,
  options: EncapsulateOptions,
): void {
  const layers = image === undefined ? plannedLayers(plan) : writtenLayers(image);
  if (options.json) {
    print(JSON.stringify(jsonReport(plan, layers, image, inputs)));
    return;
  }

  const { imgref, previousName, comparedBuild } = inputs;
  print(tableReport(plan, layers, image && { imgref, ...image }));
  if (previousName !== undefined) {
    print(updateReport(plan, layers, previousName));
  }
  if (comparedBuild !== undefined) {
    print(comparisonReport(plan, layers, comparedBuild));
  }
}
