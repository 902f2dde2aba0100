/** The deltas that a build makes from older images to its own. */
import { layerIndexStore } from '../../blobs/layer-indexes.js';
import type { BlobOptions } from '../../builder/write-blobs.js';
import type { WrittenImage } from '../../builder/write-image.js';
import { readDocuments } from '../../delta/artifact.js';
import { inContextAsync, isNotFound, OstrataError } from '../../errors.js';
import type { Context, Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { loadNativeZstd } from '../../system/native-zstd.js';
import { checkHoldsArtifacts } from '../../transports/image-reference.js';
import type { ImageWriter } from '../../transports/transport.js';
import type { MadeDelta } from '../delta/make-deltas.js';
import { type DeltaOptions, deltaLevel } from '../options/deltas.js';
import type { OpenImage, RegistryOptions } from '../options/registry.js';
import { formatBytes, formatPercent } from '../output/format.js';
import { printable } from '../output/print.js';
import { AUTO } from './previous-build.js';

/**
 * Throws `USAGE` or `UNSUPPORTED` if the deltas that the options name cannot be made or cannot go
 * beside the image at `imgref`.
 */
export function checkDeltas(imgref: string, { deltaFrom }: DeltaOptions): void {
  if (deltaFrom !== undefined) {
    checkHoldsArtifacts(imgref);
    loadNativeZstd('--delta-from');
  }
}

/**
 * Opens the images that `--delta-from` names, before the work of a build begins. `auto` is the one
 * at `destination`, which is left out if there is none.
 */
export async function openDeltaSources(
  destination: string,
  { deltaFrom = [] }: DeltaOptions,
  open: OpenImage,
  { log }: Pick<Context, 'log'>,
): Promise<readonly ImageReader[]> {
  const images: ImageReader[] = [];
  for (const imgref of deltaFrom) {
    const image = await inContextAsync('--delta-from', () =>
      imgref === AUTO ? openReplaced(destination, open, log) : open(imgref),
    );
    if (image !== undefined) {
      await readDocuments(image);
      images.push(image);
    }
  }
  return images;
}

async function openReplaced(
  destination: string,
  open: OpenImage,
  log: Logger,
): Promise<ImageReader | undefined> {
  try {
    return await open(destination);
  } catch (error) {
    if (isNotFound(error)) {
      log.info(`no image at ${destination} to make a delta from`);
      return undefined;
    }
    throw error;
  }
}

interface DeltaInputs extends Context {
  /** Where the image was written. */
  readonly imgref: string;
  readonly deltaSources: readonly ImageReader[];
  readonly blobOptions: Pick<BlobOptions, 'jobs' | 'cache'>;
  readonly openForReading: OpenImage;
  /** Prepares to write an artifact beside the image. */
  createArtifactWriter(): Promise<ImageWriter>;
}

/** Makes the deltas to the image that was written, and writes those that are worth it beside it. */
export async function writeDeltas(
  { manifestDigest }: WrittenImage,
  inputs: DeltaInputs,
  { deltaLevel: level, spool }: DeltaOptions & Pick<RegistryOptions, 'spool'>,
): Promise<readonly MadeDelta[]> {
  const { deltaSources, imgref, log, signal, blobOptions } = inputs;
  const { jobs, cache } = blobOptions;
  if (deltaSources.length === 0) {
    return [];
  }
  return inContextAsync(`${imgref} is written; making deltas to it`, async () => {
    const target = await inputs.openForReading(imgref);
    if (target.manifestDigest !== manifestDigest) {
      const rule = `is ${target.manifestDigest} now, and not ${manifestDigest} any more`;
      throw new OstrataError('CORRUPT', `the image ${rule}`);
    }
    const { makeDeltas } = await import('../delta/make-deltas.js');
    const made = await makeDeltas(target, deltaSources, () => inputs.createArtifactWriter(), {
      log,
      signal,
      jobs,
      spool,
      level: deltaLevel(level),
      indexes: cache && layerIndexStore(cache),
      isSmallerOnly: true,
    });
    warnAboutLeftOut(made, log);
    return made;
  });
}

function warnAboutLeftOut(made: readonly MadeDelta[], log: Logger): void {
  for (const { source, isWritten, size, layersSize } of made) {
    if (layersSize === 0) {
      log.info(`no delta from ${source} is needed, because it has all layers`);
    } else if (!isWritten) {
      const sizes = `${formatBytes(size)}, the layers ${formatBytes(layersSize)}`;
      log.warn(`no delta from ${source} is written, because it would have ${sizes}`);
    }
  }
}

/** Returns what updates from each image download, by layers and by delta. */
export function deltaReport(made: readonly MadeDelta[]): string {
  const lines = made.map(({ source, size, layersSize, isWritten }) => {
    const layers = `${formatBytes(layersSize)} of layers`;
    const update = isWritten
      ? `a delta of ${formatBytes(size)} instead of ${layers} (${formatPercent(size, layersSize)})`
      : `${layers}, without a delta`;
    return `A client of ${printable(source)} downloads ${update}`;
  });
  return `\n${lines.join('\n')}`;
}

/** Returns what `--json` says about the deltas; undefined if none were asked for. */
export function deltasInJson(made: readonly MadeDelta[]) {
  const deltas = made.map(({ source, manifestDigest, isWritten, size, layersSize }) => ({
    source,
    manifestDigest,
    isWritten,
    size,
    layersSize,
  }));
  return deltas.length === 0 ? undefined : deltas;
}
