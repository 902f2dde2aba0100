/**
 * What all commands that build images have in common: how images are opened, the previous build,
 * the layout and the blobs.
 */
import { compressionName } from '../../blobs/compress.js';
import type { LayoutPlanOptions } from '../../builder/image-plan.js';
import { type PreviousBuild, previousFromImage } from '../../builder/previous.js';
import type { BlobOptions } from '../../builder/write-blobs.js';
import type { Context, Logger } from '../../log.js';
import type { IndexedImage } from '../../oci/platform.js';
import type { ImageIndex } from '../../oci/types.js';
import type { ContentSource, LayoutStrategy } from '../../plugin.js';
import { returnFreedMemory } from '../../system/memory.js';
import {
  createArtifact,
  createImage,
  openImage,
  parseImgref,
  readIndex,
} from '../../transports/image-reference.js';
import type { ImageReader, ImageWriter, TransportOptions } from '../../transports/transport.js';
import { tarLocation } from '../../tree/tar-source.js';
import {
  cacheRepositories,
  openCache,
  openSharedCache,
  type SharedCacheOptions,
} from '../options/cache.js';
import { type CompressionOptions, compressionOf } from '../options/compression.js';
import type { DeltaOptions } from '../options/deltas.js';
import type { LayerLimits } from '../options/layers.js';
import { loadPlugins, type PluginOptions } from '../options/plugins.js';
import { type OpenImage, type RegistryOptions, transportOptions } from '../options/registry.js';
import { keepWarnings, type LogOptions, terminalLogger } from '../output/terminal.js';
import { interruptSignal } from '../run.js';
import { checkDeltas, openDeltaSources } from './build-deltas.js';
import type { OutputOptions, PreviousBuildOptions } from './encapsulate-options.js';
import type { ReportedCommand } from './encapsulate-report.js';
import { AUTO, openIfForPlatform, openPreviousBuild } from './previous-build.js';

export interface BuildOptions
  extends LayerLimits,
    PreviousBuildOptions,
    OutputOptions,
    PluginOptions,
    CompressionOptions,
    SharedCacheOptions,
    DeltaOptions,
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

/** What all images that a command builds have in common. */
export interface BuildSetup extends Context, ReportedCommand {
  readonly sources: readonly ContentSource[];
  readonly strategy: LayoutStrategy;
  readonly blobOptions: BlobOptions & Context;
  /** Opens an image that the command line names. */
  open(imgref: string, own: TransportOptions): Promise<ImageReader>;
  /** Reads an index that the command line names; undefined if that is one image. */
  readIndex(imgref: string): Promise<ImageIndex | undefined>;
  createWriter(): Promise<ImageWriter>;
  /** Prepares to write an artifact beside the image. */
  createArtifactWriter(): Promise<ImageWriter>;
  /** Closes all images that were opened; a writer may need them until its last step. */
  close(): Promise<void>;
}

/** What was read from the command line and from the files and images that it names. */
export interface BuildInputs extends BuildSetup {
  /** The build whose layers are kept; undefined without one. */
  readonly previousName: string | undefined;
  readonly layoutOptions: LayoutPlanOptions;
  /** The build that the new image is compared with, without following its layout. */
  readonly comparedBuild: PreviousBuild | undefined;
  /** The images from which deltas are made. */
  readonly deltaSources: readonly ImageReader[];
  /** Opens an image that the command line names, to reuse its layers. */
  readonly openForReuse: OpenImage;
  /** Opens the image that is built again, to read the files in its layers. */
  readonly openForReading: OpenImage;
}

/**
 * Reads what the options say about all images.
 * @param architecture of the new image, if the user chose one
 */
export async function readBuildSetup(
  imgref: string,
  architecture: string | undefined,
  options: BuildOptions,
): Promise<BuildSetup> {
  checkDeltas(imgref, options);
  // A build frees hundreds of megabytes before it needs as many again.
  returnFreedMemory();
  const compression = compressionOf(options, parseImgref(imgref).transport);
  const { log, warnings } = keepWarnings(terminalLogger(options));
  const context: Context = { log, signal: interruptSignal };
  log.info(`layers are compressed by ${compressionName(compression)}`);
  const optionsFor = transportOptionsOf(imgref, architecture, options, log);
  const { sources, strategy } = await loadPlugins(options);
  const { plan, jobs } = options;
  const opened: ImageReader[] = [];
  const sharedCache = openSharedCache(options, optionsFor, context);
  return {
    ...context,
    imgref,
    warnings,
    sources,
    strategy: plan === undefined ? strategy : await strategyOfPlan(plan, log),
    blobOptions: { compression, jobs, cache: openCache(options, log), sharedCache, ...context },
    open: async (reference, own) => {
      const image = await openImage(reference, { ...optionsFor(reference), ...own });
      opened.push(image);
      return image;
    },
    readIndex: (reference) => readIndex(reference, optionsFor(reference)),
    createWriter: () => createImage(imgref, { ...optionsFor(imgref), stdout: process.stdout }),
    createArtifactWriter: () => createArtifact(imgref, optionsFor(imgref)),
    close: async () => {
      for (const image of opened.splice(0)) {
        await image.close?.();
      }
      await sharedCache?.close();
    },
  };
}

async function strategyOfPlan(path: string, log: Logger): Promise<LayoutStrategy> {
  const layoutCommands = await import('../layout/source.js');
  return layoutCommands.strategyOfPlan(path, log);
}

/**
 * Opens the builds that the new image follows or is compared with.
 * @param source the image of an index that is built again, whose platform the others have, too
 */
export async function readBuildInputs(
  setup: BuildSetup,
  options: BuildOptions,
  source?: IndexedImage,
): Promise<BuildInputs> {
  const { imgref, sources, strategy, blobOptions, log, signal } = setup;
  const ofPlatform = source === undefined ? {} : { platform: source.platform };
  const openForReuse: OpenImage = (reference) =>
    setup.open(reference, {
      ...ofPlatform,
      // Its layers may become layers of the new image.
      keepsUncompressed: blobOptions.compression.name === 'none',
    });
  const openForReading: OpenImage = (reference) =>
    setup.open(reference, { manifest: source?.manifest, keepsUncompressed: true });
  const openFollowed = (reference: string) =>
    openIfForPlatform(reference, source?.platform, openForReuse, setup);

  const { compareWithBuild, maxLayers, maxLayerSize } = options;
  const previous = await openPreviousBuild(imgref, options, sources, openFollowed, { log });
  const compared = compareWithBuild && (await openFollowed(compareWithBuild));
  return {
    ...setup,
    previousName: previous && (previous.image?.name ?? options.previousBuildManifest),
    layoutOptions: { sources, strategy, maxLayers, maxLayerSize, previous, log, signal },
    comparedBuild: compared ? await previousFromImage(compared, log) : undefined,
    deltaSources: await openDeltaSources(imgref, options, openForReading, { log }),
    openForReuse,
    openForReading,
  };
}

/** Returns how each image that the command line names is reached. */
function transportOptionsOf(
  imgref: string,
  architecture: string | undefined,
  options: BuildOptions,
  log: Logger,
): (imgref: string) => TransportOptions {
  const { previousBuild = [], compareWithBuild, from, base, deltaFrom = [] } = options;
  const images = [imgref, from, base, ...previousBuild, compareWithBuild, ...deltaFrom];
  const named = [...images, ...cacheRepositories(options)];
  const imgrefs = named
    .filter((each) => each !== undefined)
    .filter((each) => each !== AUTO && tarLocation(each) === undefined);
  // In a multi-platform index, the previous build is the image for the same architecture.
  const samePlatform = architecture === undefined ? undefined : { os: 'linux', architecture };
  const platform = options.platform ?? samePlatform;
  return transportOptions({ ...options, platform }, imgrefs, log);
}
