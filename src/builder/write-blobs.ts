/**
 * Hands the blobs of an image's layers to a transport. Each blob is taken from the previous build,
 * or else from the cache on the disk, or else from a shared cache; if none of them has it, a worker
 * thread writes it.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { BlobCache } from '../blobs/cache.js';
import { type Compression, compressionKey } from '../blobs/compress.js';
import type { SharedCache } from '../blobs/shared-cache.js';
import { inContextAsync } from '../errors.js';
import { type Context, startWork } from '../log.js';
import { layerMediaType } from '../oci/media-types.js';
import type { ImageWriter } from '../transports/transport.js';
import type { LocatedTree } from '../tree/content-location.js';
import {
  BlobCollector,
  type PlannedBlob,
  type StagedBlob,
  type WrittenBlob,
} from './blob-collector.js';
import type { PreviousBuild } from './previous.js';
import { takeShared } from './shared-blobs.js';
import { writeStaged } from './write-staged.js';

/** How blobs are made. */
export interface BlobOptions {
  readonly compression: Compression;
  /** Number of worker threads, at least 1; it does not change the bytes. */
  readonly jobs: number;
  /** Blobs of earlier builds, of any image. */
  readonly cache?: BlobCache | undefined;
  /** Blobs of builds on other machines. */
  readonly sharedCache?: SharedCache | undefined;
}

export interface WriteBlobsOptions extends BlobOptions, Context {
  /** The tree that the content of the layers comes from. */
  readonly tree: Pick<LocatedTree, 'content' | 'fetch'>;
  /** The build that the `unchanged` layers come from. */
  readonly previous: PreviousBuild | undefined;
}

/**
 * Gives `writer` the blob of every layer; the result is in the order of `layers`. If the tar of a
 * new layer turns out to equal one of the previous build, the blob of that build is used, however
 * it is compressed.
 */
export async function writeBlobs(
  layers: readonly PlannedBlob[],
  writer: ImageWriter,
  options: WriteBlobsOptions,
): Promise<readonly WrittenBlob[]> {
  const { cache, compression, log } = options;
  const collector = new BlobCollector(writer, options);
  await collector.finish(async () => {
    const unknown = await takeKnown(layers, writer.stagingDirectory, collector, options);
    const missing = await takeShared(unknown, collector, options);
    const knownCount = layers.length - missing.length;
    log.info(
      `${knownCount} layers are known from earlier builds, ${missing.length} are to be written`,
    );
    const task = { what: 'writing layers', compression, isKept: true };
    await writeStaged(missing, task, options, async (staged, blob) => {
      cache?.add(staged.wanted.key, staged.path, blob);
      await collector.add(staged, blob, 'new');
    });
  });
  cache?.trim();
  return layers.map((layer) => collector.blobOf(layer));
}

/**
 * Takes the blobs that the previous build or the cache on the disk has. Returns the other layers.
 */
async function takeKnown(
  layers: readonly PlannedBlob[],
  directory: string,
  collector: BlobCollector,
  options: WriteBlobsOptions,
): Promise<readonly StagedBlob[]> {
  const { cache, compression, log, signal } = options;
  const work = startWork(log, 'looking for known layers', layers.length, 'layers');
  const mediaType = layerMediaType(compression.name);
  const unknown: StagedBlob[] = [];
  for (const [i, layer] of layers.entries()) {
    // The cache hashes a blob in one task: without this, signals would wait for all of them.
    await inContextAsync('writing layers', () => setImmediate(undefined, { signal }));
    if (layer.unchanged !== undefined && (await collector.reuse(layer, layer.unchanged))) {
      work.advance(1);
      continue;
    }
    // The blob key: determines the bytes of the layer's blob.
    const key = `${layer.key}-${compressionKey(compression)}`;
    const path = join(directory, `layer-${i}`);
    const staged = { layer, wanted: { key, mediaType }, path };
    const cached = cache?.restore(key, path);
    if (cached === undefined) {
      unknown.push(staged);
    } else {
      await collector.add(staged, cached, 'cache');
    }
    work.advance(1);
  }
  work.end();
  return unknown;
}
