/**
 * What all commands that build images have in common: the previous build, the layout, the blobs,
 * and the report.
 */
import { writeFile } from 'node:fs/promises';
import { compressionName } from '../../blobs/compress.js';
import type { ImagePlan, LayoutPlanOptions } from '../../builder/image-plan.js';
import {
  type PreviousBuild,
  previousFromImage,
  previousFromImages,
  previousFromManifest,
} from '../../builder/previous.js';
import type { BlobOptions } from '../../builder/write-blobs.js';
import type { WrittenImage } from '../../builder/write-image.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { Context, Logger } from '../../log.js';
import type { ContentSource } from '../../plugin.js';
import { createImage, openImage, parseImgref } from '../../transports/image-reference.js';
import { ARCHIVE_ON_STDOUT } from '../../transports/oci/archive-transport.js';
import type { ImageReader, ImageWriter, TransportOptions } from '../../transports/transport.js';
import { tarLocation } from '../../tree/tar-source.js';
import { buildOfImageReader } from '../layout/series.js';
import { strategyOfPlan } from '../layout/source.js';
import { type CacheOptions, openCache } from '../options/cache.js';
import { type CompressionOptions, compressionOf } from '../options/compression.js';
import type { LayerLimits } from '../options/layers.js';
import { loadPlugins, type PluginOptions } from '../options/plugins.js';
import { type OpenImage, type RegistryOptions, transportOptions } from '../options/registry.js';
import { print } from '../output/print.js';
import { keepWarnings, type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { contentMeta } from './content-meta.js';
import type { OutputOptions, PreviousBuildOptions } from './encapsulate-options.js';
import {
  comparisonReport,
  jsonReport,
  plannedLayers,
  type ReportedBuild,
  tableReport,
  updateReport,
  writtenLayers,
} from './encapsulate-report.js';

export interface BuildOptions
  extends LayerLimits,
    PreviousBuildOptions,
    OutputOptions,
    PluginOptions,
    CompressionOptions,
    CacheOptions,
    RegistryOptions,
    LogOptions {
  /** Path of a plan file. */
  readonly plan?: string | undefined;
  /** The image that is built again. */
  readonly from?: string | undefined;
  /** The image whose layers are kept. */
  readonly base?: string | undefined;
  /** Whether the report always goes to standard error, not only if the archive is on stdout. */
  readonly reportsOnStderr?: boolean | undefined;
}

/** What was read from the command line and from the files and images that it names. */
export interface BuildInputs extends Context, ReportedBuild {
  readonly layoutOptions: LayoutPlanOptions;
  readonly blobOptions: BlobOptions & Context;
  /** The build that the new image is compared with, without following its layout. */
  readonly comparedBuild: PreviousBuild | undefined;
  /** Opens an image that the command line names, to reuse its layers. */
  readonly openForReuse: OpenImage;
  /** Opens an image that the command line names, to read the files in its layers. */
  readonly openForReading: OpenImage;
  createWriter(): Promise<ImageWriter>;
}

/**
 * Reads what the options name.
 * @param architecture of the new image, if the user chose one
 */
export async function readBuildInputs(
  imgref: string,
  architecture: string | undefined,
  options: BuildOptions,
): Promise<BuildInputs> {
  const compression = compressionOf(options, parseImgref(imgref).transport);
  const { log, warnings } = keepWarnings(terminalLogger(options));
  const context: Context = { log, signal: interruptSignal };
  log.info(`layers are compressed by ${compressionName(compression)}`);
  const optionsFor = transportOptionsOf(imgref, architecture, options, log);
  const openForReuse: OpenImage = (reference) =>
    openImage(reference, {
      ...optionsFor(reference),
      // Its layers may become layers of the new image.
      keepsUncompressed: compression.name === 'none',
    });
  const openForReading: OpenImage = (reference) =>
    openImage(reference, { ...optionsFor(reference), keepsUncompressed: true });
  const { sources, strategy } = await loadPlugins(options);

  const { compareWithBuild, plan, maxLayers, maxLayerSize, jobs } = options;
  const previous = await openPreviousBuild(imgref, options, sources, openForReuse, context);
  const comparedBuild =
    compareWithBuild === undefined
      ? undefined
      : await previousFromImage(await openForReuse(compareWithBuild), log);
  return {
    ...context,
    imgref,
    previousName: previous && (previous.image?.name ?? options.previousBuildManifest),
    warnings,
    layoutOptions: {
      sources,
      strategy: plan === undefined ? strategy : await strategyOfPlan(plan, log),
      maxLayers,
      maxLayerSize,
      previous,
      ...context,
    },
    blobOptions: { compression, jobs, cache: openCache(options, log), ...context },
    comparedBuild,
    openForReuse,
    openForReading,
    createWriter: () => createImage(imgref, { ...optionsFor(imgref), stdout: process.stdout }),
  };
}

/** Returns how each image that the command line names is reached. */
function transportOptionsOf(
  imgref: string,
  architecture: string | undefined,
  options: BuildOptions,
  log: Logger,
): (imgref: string) => TransportOptions {
  const { previousBuild = [], compareWithBuild, from, base } = options;
  const named = [imgref, from, base, ...previousBuild, compareWithBuild];
  const imgrefs = named
    .filter((each) => each !== undefined)
    .filter((each) => each !== AUTO && tarLocation(each) === undefined);
  // In a multi-platform index, the previous build is the image for the same architecture.
  const samePlatform = architecture === undefined ? undefined : { os: 'linux', architecture };
  const platform = options.platform ?? samePlatform;
  return transportOptions({ ...options, platform }, imgrefs, log);
}

/** The value of `--previous-build` that stands for the image at the destination. */
const AUTO = 'auto';

/** Opens the build that the new image follows; undefined if there is none. */
async function openPreviousBuild(
  destination: string,
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
    const image = imgref === AUTO ? await openIfThere(destination, open, log) : await open(imgref);
    if (image !== undefined) {
      images.push(image);
    }
  }
  const readComponents = async (image: ImageReader) => {
    const { components } = await buildOfImageReader(image, { sources, log });
    return components;
  };
  return images.length === 0 ? undefined : previousFromImages(images, readComponents, log);
}

async function openIfThere(
  imgref: string,
  open: OpenImage,
  log: Logger,
): Promise<ImageReader | undefined> {
  try {
    return await open(imgref);
  } catch (error) {
    if (!(error instanceof OstrataError && error.code === 'NOT_FOUND')) {
      throw error;
    }
    log.info(`no previous build at ${imgref}: the layout is planned anew`);
    return undefined;
  }
}

/**
 * Finishes a build: writes the image, unless it is a dry run, and reports it.
 * @param write writes the image of the plan
 */
export async function finishBuild(
  plan: ImagePlan,
  inputs: BuildInputs,
  options: BuildOptions,
  write: (writer: ImageWriter) => Promise<WrittenImage>,
): Promise<void> {
  const path = options.writeContentmetaJson;
  if (path !== undefined) {
    await inContextAsync(`writing ${path}`, () =>
      writeFile(path, `${JSON.stringify(contentMeta(plan.components))}\n`),
    );
  }
  const image = options.dryRun ? undefined : await write(await inputs.createWriter());
  report(plan, image, inputs, options);
}

/** @param image undefined in a dry run */
function report(
  plan: ImagePlan,
  image: WrittenImage | undefined,
  inputs: BuildInputs,
  options: BuildOptions,
): void {
  const { imgref, previousName, comparedBuild } = inputs;
  const isStdoutTaken = imgref.startsWith(ARCHIVE_ON_STDOUT);
  const stream = isStdoutTaken || options.reportsOnStderr ? process.stderr : process.stdout;
  const show = (text: string) => print(text, stream);
  const layers = image === undefined ? plannedLayers(plan) : writtenLayers(image);
  if (options.json) {
    show(JSON.stringify(jsonReport(plan, layers, image, inputs)));
    return;
  }

  show(tableReport(plan, layers, image && { imgref, ...image }));
  if (previousName !== undefined) {
    show(updateReport(plan, layers, previousName));
  }
  if (comparedBuild !== undefined) {
    show(comparisonReport(plan, layers, comparedBuild));
  }
}
