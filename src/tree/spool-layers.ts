/**
 * Reads the layers of an image in worker threads: each is fetched once, its digests are checked,
 * its entries are listed, and its tar is put into a spool.
 */
import { statfsSync, symlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { inContext, inContextAsync, must, OstrataError } from '../errors.js';
import type { Context } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { layerCompression } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import { StreamWorker } from '../system/stream-worker.js';
import { spooledTar } from './spool.js';

/** What a thread does with the blob of a layer; plain data. */
export interface SpoolTask {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** The file that the uncompressed tar goes to; undefined if it need not be copied. */
  readonly tar: string | undefined;
  /** Most bytes of that file. */
  readonly maxTarSize: number;
}

/** A layer of an image. */
export interface LayerOfImage {
  /** Its index in the manifest. */
  readonly index: number;
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

export interface SpoolLayersOptions extends Context {
  /** The folder of the spool. */
  readonly directory: string;
  /** Largest number of threads, at least 1; each reads one layer at a time. */
  readonly jobs: number;
  /** Called with the encoded index of each layer. */
  readonly onIndex: (layer: LayerOfImage, index: Uint8Array) => void;
}

/**
 * Reads `layers`, the largest first. A tar that already lies uncompressed in a file of this machine
 * is not copied. Throws `CORRUPT` for a layer that does not match its digests, `LIMIT` for one that
 * expands without bounds, and `IO` if the disk has too little space, before anything is fetched if
 * that is certain by then. In every case no thread is left running.
 */
export async function spoolLayers(
  image: ImageReader,
  layers: readonly LayerOfImage[],
  options: SpoolLayersOptions,
): Promise<void> {
  const maxTarSize = checkSpace(image, layers, options);
  const { directory, log, signal } = options;
  const total = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const waiting = [...layers].sort((a, b) => b.descriptor.size - a.descriptor.size);
  let done = 0;
  const onProgress = (bytes: number) => {
    done += bytes;
    log.progress('reading layers', done, total);
  };

  const readInWorker = (layer: LayerOfImage, worker: StreamWorker<SpoolTask, Uint8Array>) => {
    const { index, descriptor, diffId } = layer;
    const path = spooledTar(directory, index);
    const existingTar = uncompressedTar(image, descriptor);
    if (existingTar !== undefined) {
      inContext('writing', () => symlinkSync(existingTar, path));
    }
    const tar = existingTar === undefined ? path : undefined;
    const task = { descriptor, diffId, tar, maxTarSize };
    return inContextAsync(`reading ${image.name}: layer ${index} (${descriptor.digest})`, () =>
      worker.run(task, image.blob(descriptor), { signal, onProgress }),
    );
  };
  const run = async (worker: StreamWorker<SpoolTask, Uint8Array>) => {
    for (let layer = waiting.shift(); layer !== undefined; layer = waiting.shift()) {
      options.onIndex(layer, await readInWorker(layer, worker));
    }
  };
  const count = Math.min(options.jobs, layers.length);
  const workers = Array.from({ length: count }, startWorker);
  try {
    await Promise.all(workers.map(run));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function startWorker(): StreamWorker<SpoolTask, Uint8Array> {
  const worker = new Worker(new URL('./spool-layers-worker.js', import.meta.url));
  return new StreamWorker(worker, 'reading layers');
}

/** Returns the file that holds the tar of a layer as it is; undefined if there is none. */
function uncompressedTar(image: ImageReader, descriptor: Descriptor): string | undefined {
  const isUncompressed = layerCompression(descriptor.mediaType) === 'none';
  return isUncompressed ? image.blobFile(descriptor) : undefined;
}

/** The tar of a layer has about this many times the size of its blob, if that is compressed. */
const USUAL_EXPANSION = 2.5;

/** Returns how many bytes the tar of one layer may have. */
function checkSpace(
  image: ImageReader,
  layers: readonly LayerOfImage[],
  { directory, log }: SpoolLayersOptions,
): number {
  const toCopy = layers.filter(({ descriptor }) => !uncompressedTar(image, descriptor));
  const size = toCopy.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const { bavail, bsize } = inContext('reading', () => statfsSync(directory));
  const free = bavail * bsize;
  const need = Math.round(size * USUAL_EXPANSION);
  const advice = '--spool or TMPDIR names another folder';
  if (free < size) {
    throw new OstrataError(
      'IO',
      `${directory} has ${free} bytes free, and the layers of ${image.name} take about ${need}; ` +
        advice,
    );
  }
  if (free < need) {
    log.warn(
      `${directory} has ${free} bytes free, which may be too few: the layers of ${image.name} ` +
        `take about ${need}; ${advice}`,
    );
  }
  return free;
}

/** Pairs the layers of an image with their diffIds. */
export function layersOf(image: ImageReader, diffIds: readonly string[]): readonly LayerOfImage[] {
  const { layers } = image.manifest;
  if (diffIds.length !== layers.length) {
    throw new OstrataError(
      'CORRUPT',
      `reading ${image.name}: ${layers.length} layers and ${diffIds.length} diff_ids`,
    );
  }
  return layers.map((descriptor, index) => {
    const diffId = must(diffIds[index], `diff_id ${index}`);
    return { index, descriptor, diffId };
  });
}
