/**
 * Reads the layers of an image in worker threads: each is fetched once, its digests are checked,
 * its entries are listed, and its tar is put into a spool.
 */
import { statfsSync, symlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { inContext, inContextAsync, OstrataError } from '../errors.js';
import { type Context, startWork } from '../log.js';
import { layerCompression } from '../oci/media-types.js';
import type { StatedBlob } from '../oci/validate.js';
import { StreamWorker } from '../system/stream-worker.js';
import type { LayerSource, SourceLayer } from './layer-source.js';
import { SPACE_ADVICE, spooledTar } from './spool.js';

/** What a thread does with the blob of a layer; plain data. */
export interface SpoolTask {
  readonly blob: StatedBlob;
  readonly diffId: string | undefined;
  /** See `LayerIndexOptions`. */
  readonly isRootFileSystem: boolean;
  /** The file that the uncompressed tar goes to; undefined if it need not be copied. */
  readonly tar: string | undefined;
  /** Most bytes of that file. */
  readonly maxTarSize: number;
}

export interface SpoolLayersOptions extends Context {
  /** The folder of the spool. */
  readonly directory: string;
  /** Largest number of threads, at least 1; each reads one layer at a time. */
  readonly jobs: number;
  /** Called with the encoded index of each layer. */
  readonly onIndex: (layer: SourceLayer, index: Uint8Array) => void;
}

/**
 * Reads `layers`, the largest first. A tar that already lies uncompressed in a file of this machine
 * is not copied. Throws `CORRUPT` for a layer that does not match its digests, `LIMIT` for one that
 * expands without bounds, and `IO` if the disk has too little space, before anything is fetched if
 * that is certain by then. In every case no thread is left running.
 */
export async function spoolLayers(
  source: LayerSource,
  layers: readonly SourceLayer[],
  options: SpoolLayersOptions,
): Promise<void> {
  const maxTarSize = checkSpace(source, layers, options);
  const { directory, log, signal } = options;
  const waiting = [...layers].sort((a, b) => sizeOf([b]) - sizeOf([a]));
  const isSizeKnown = layers.every(({ blob }) => blob.size !== undefined);
  const work = startWork(log, 'reading layers', isSizeKnown ? sizeOf(layers) : undefined);

  const readInWorker = async (layer: SourceLayer, worker: StreamWorker<SpoolTask, Uint8Array>) => {
    const { index, blob, diffId } = layer;
    const path = spooledTar(directory, index);
    const existingTar = uncompressedTar(source, layer);
    if (existingTar !== undefined) {
      inContext('writing', () => symlinkSync(existingTar, path));
    }
    const tar = existingTar === undefined ? path : undefined;
    const { isRootFileSystem } = source;
    const task = { blob, diffId, isRootFileSystem, tar, maxTarSize };
    const part = work.startPart(`${index}`, `layer ${index}`, blob.size);
    const onProgress = (bytes: number) => part.advance(bytes);
    const indexed = await inContextAsync(`reading ${source.layerName(layer)}`, () =>
      worker.run(task, source.stream(layer), { signal, onProgress }),
    );
    part.end();
    return indexed;
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
    work.end();
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function startWorker(): StreamWorker<SpoolTask, Uint8Array> {
  const worker = new Worker(new URL('./spool-layers-worker.js', import.meta.url));
  return new StreamWorker(worker, 'reading layers');
}

/** Returns the file that holds the tar of a layer as it is; undefined if there is none. */
function uncompressedTar(source: LayerSource, layer: SourceLayer): string | undefined {
  const isUncompressed = layerCompression(layer.blob.mediaType) === 'none';
  return isUncompressed ? source.file(layer) : undefined;
}

/** Returns the bytes of the blobs, as far as they are known. */
function sizeOf(layers: readonly SourceLayer[]): number {
  return layers.reduce((sum, { blob }) => sum + (blob.size ?? 0), 0);
}

/** The tar of a layer has about this many times the size of its blob, if that is compressed. */
const USUAL_EXPANSION = 2.5;

/** Returns how many bytes the tar of one layer may have. */
function checkSpace(
  source: LayerSource,
  layers: readonly SourceLayer[],
  { directory, log }: SpoolLayersOptions,
): number {
  const size = sizeOf(layers.filter((layer) => uncompressedTar(source, layer) === undefined));
  const { bavail, bsize } = inContext('reading', () => statfsSync(directory));
  const free = bavail * bsize;
  const need = Math.round(size * USUAL_EXPANSION);
  if (free < size) {
    throw new OstrataError(
      'IO',
      `${directory} has ${free} bytes free, and the layers of ${source.name} take about ${need}; ` +
        SPACE_ADVICE,
    );
  }
  if (free < need) {
    log.warn(
      `${directory} has ${free} bytes free, which may be too few: the layers of ${source.name} ` +
        `take about ${need}; ${SPACE_ADVICE}`,
    );
  }
  return free;
}
