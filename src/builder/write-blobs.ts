/** The blobs of an image's layers: taken over from the previous build or the cache, else written, into the hands of a transport. */
import { join } from 'node:path';
import type { BlobCache } from '../blobs/cache.js';
import { type Compression, compressionKey } from '../blobs/compress.js';
import { writeLayers } from '../blobs/pool.js';
import type { BlobResult } from '../blobs/writer.js';
import type { LayerSpec } from '../layers/spec.js';
import type { Logger } from '../log.js';
import { layerMediaType } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import type { ImageWriter } from '../transports/transport.js';
import type { PreviousBuild, PreviousLayer } from './previous.js';

export interface WriteBlobsOptions {
  readonly repoPath: string;
  readonly compression: Compression;
  /** Worker threads. */
  readonly jobs: number;
  readonly previous?: PreviousBuild | undefined;
  /** Blobs of earlier builds, of any image. */
  readonly cache?: BlobCache | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** A layer whose blob is wanted. */
export interface PlannedBlob {
  readonly spec: LayerSpec;
  /** What its tar stream is known by before it is written. */
  readonly key: string;
  /** The layer of the previous build with the same key. */
  readonly unchanged: PreviousLayer | undefined;
}
export interface WrittenBlob {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** The blob is the previous build's: clients that have it fetch nothing. */
  readonly reused: boolean;
}

/** Resolves, in the order of `layers`, when `writer` has the blob of each. */
export async function writeBlobs(
  layers: readonly PlannedBlob[],
  writer: ImageWriter,
  options: WriteBlobsOptions,
): Promise<readonly WrittenBlob[]> {
  const { compression, previous, cache, log } = options;
  const blobKey = ({ key }: PlannedBlob) => `${key}-${compressionKey(compression)}`;
  const finished = new Map<PlannedBlob, WrittenBlob>();
  const reuse = async (
    layer: PlannedBlob,
    { descriptor: { mediaType, digest, size }, diffId }: PreviousLayer,
  ) => {
    const descriptor = { mediaType, digest, size };
    if (previous?.image) {
      await writer.mountBlob(descriptor, previous.image);
    }
    finished.set(layer, { descriptor, diffId, reused: true });
  };
  const adopt = async (layer: PlannedBlob, path: string, { diffId, digest, size }: BlobResult) => {
    const same = previous?.byDiffId.get(diffId);
    if (same) {
      return reuse(layer, same);
    }
    const descriptor = { mediaType: layerMediaType(compression.name), digest, size };
    await writer.addBlob(path, descriptor);
    finished.set(layer, { descriptor, diffId, reused: false });
  };

  const missing: StagedBlob[] = [];
  for (const [i, layer] of layers.entries()) {
    const path = join(writer.stagingDirectory, `layer-${i}`);
    const cached = layer.unchanged ? undefined : cache?.restore(blobKey(layer), path);
    if (layer.unchanged) {
      await reuse(layer, layer.unchanged);
    } else if (cached) {
      await adopt(layer, path, cached);
    } else {
      missing.push({ layer, path });
    }
  }
  const known = layers.length - missing.length;
  log.info(`${known} layers are known from earlier builds, ${missing.length} are to be written`);
  await writeMissing(missing, options, async ({ layer, path }, blob) => {
    cache?.add(blobKey(layer), path, blob);
    await adopt(layer, path, blob);
  });
  cache?.trim();
  return layers.map((layer) => finished.get(layer) as WrittenBlob);
}

/** A layer, and the file that is to hold its blob. */
interface StagedBlob {
  readonly layer: PlannedBlob;
  readonly path: string;
}

async function writeMissing(
  blobs: readonly StagedBlob[],
  { repoPath, compression, jobs, log, signal }: WriteBlobsOptions,
  finish: (staged: StagedBlob, blob: BlobResult) => Promise<void>,
): Promise<void> {
  const total = blobs.reduce(
    (sum, { layer: { spec } }) => sum + (spec.kind === 'chunk' ? spec.contentSize : 0),
    0,
  );
  let done = 0;
  const onProgress = (bytes: number) => {
    done += bytes;
    log.progress('writing layers', Math.min(done, total), total);
  };
  const onWritten = (i: number, blob: BlobResult) => finish(blobs[i] as StagedBlob, blob);
  const tasks = blobs.map(({ layer: { spec }, path }) => ({ spec, path })); // what is told to a thread is copied
  await writeLayers(tasks, { repoPath, compression, jobs, signal, onProgress, onWritten });
}
