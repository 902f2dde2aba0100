/**
 * Hands the blobs of an image's layers to a transport. Each blob is taken from the previous build
 * or else from the cache; if neither has it, a worker thread writes it.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { BlobCache } from '../blobs/cache.js';
import { type Compression, compressionKey } from '../blobs/compress.js';
import { writeLayers } from '../blobs/pool.js';
import type { BlobResult } from '../blobs/writer.js';
import { inContextAsync, must, OstrataError } from '../errors.js';
import { COMMIT_LAYER_NAME, layerName } from '../layers/layer-name.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import { type Context, type Logger, startWork } from '../log.js';
import { ZSTD_CHUNKED_PREFIXES } from '../oci/annotations.js';
import { layerCompression, layerMediaType, ociLayerMediaType } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import { collectGarbage } from '../system/memory.js';
import type { ImageWriter } from '../transports/transport.js';
import type { LocatedTree } from '../tree/content-location.js';
import type { PreviousBuild, PreviousLayer } from './previous.js';

/** How blobs are made. */
export interface BlobOptions {
  readonly compression: Compression;
  /** Number of worker threads, at least 1; it does not change the bytes. */
  readonly jobs: number;
  /** Blobs of earlier builds, of any image. */
  readonly cache?: BlobCache | undefined;
}

interface WriteBlobsOptions extends BlobOptions, Context {
  /** The tree that the content of the layers comes from. */
  readonly tree: Pick<LocatedTree, 'content' | 'fetch'>;
  /** The build that the `unchanged` layers come from. */
  readonly previous: PreviousBuild | undefined;
}

/** A layer whose blob the image needs. */
export interface PlannedBlob {
  readonly spec: LayerSpec;
  /** Layer key: determines the bytes of the layer's tar. */
  readonly key: string;
  /** The layer of the previous build with the same key. */
  readonly unchanged: PreviousLayer | undefined;
  /** What the layer holds; undefined for that of an ostree commit. */
  readonly components?: readonly NamedComponent[] | undefined;
}

interface NamedComponent {
  readonly name: string;
  readonly size: number;
}

export interface WrittenBlob {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** Whether the blob is one of the previous build: clients that have it download nothing. */
  readonly reused: boolean;
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
  const { cache, log, signal } = options;
  const results = new BlobCollector(writer, options);
  const missing: StagedBlob[] = [];

  for (const [i, layer] of layers.entries()) {
    // The cache hashes a blob in one task: without this, signals would wait for all of them.
    await inContextAsync('writing layers', () => setImmediate(undefined, { signal }));
    const path = join(writer.stagingDirectory, `layer-${i}`);
    if (layer.unchanged !== undefined && (await results.reuse(layer, layer.unchanged))) {
      continue;
    }
    const cached = cache?.restore(blobKey(layer, options), path);
    if (cached !== undefined) {
      await results.add(layer, path, cached);
    } else {
      missing.push({ layer, path });
    }
  }

  const knownCount = layers.length - missing.length;
  log.info(
    `${knownCount} layers are known from earlier builds, ${missing.length} are to be written`,
  );
  await writeMissing(missing, options, async ({ layer, path }, blob) => {
    cache?.add(blobKey(layer, options), path, blob);
    await results.add(layer, path, blob);
  });
  cache?.trim();

  return layers.map((layer) => results.blobOf(layer));
}

/** Blob key: determines the bytes of the layer's blob. */
function blobKey({ key }: PlannedBlob, { compression }: BlobOptions): string {
  return `${key}-${compressionKey(compression)}`;
}

/** Hands finished blobs to the transport, and remembers which blob each layer got. */
class BlobCollector {
  readonly #writer: ImageWriter;
  readonly #previous: PreviousBuild | undefined;
  readonly #mediaType: string;
  readonly #log: Logger;
  /** Digests of blobs of the previous build that have other bytes or are missing. */
  readonly #damaged = new Set<string>();
  readonly #blobs = new Map<PlannedBlob, WrittenBlob>();

  constructor(writer: ImageWriter, { previous, compression, log }: WriteBlobsOptions) {
    this.#writer = writer;
    this.#previous = previous;
    this.#mediaType = layerMediaType(compression.name);
    this.#log = log;
  }

  /**
   * Takes over the blob of a layer of the previous build. Returns false, after a warning, if that
   * blob is damaged or missing.
   */
  async reuse(layer: PlannedBlob, previousLayer: PreviousLayer): Promise<boolean> {
    const descriptor = reusedDescriptor(previousLayer.descriptor);
    const name = nameOf(layer);
    if (this.#damaged.has(descriptor.digest) || !(await this.#mount(descriptor, name))) {
      return false;
    }
    this.#blobs.set(layer, { descriptor, diffId: previousLayer.diffId, reused: true });
    return true;
  }

  /** Takes the file at `path`, unless the previous build has a blob of the same tar. */
  async add(layer: PlannedBlob, path: string, blob: BlobResult): Promise<void> {
    const { diffId, digest, size } = blob;
    const previousLayer = this.#previous?.byDiffId.get(diffId);
    if (previousLayer !== undefined && (await this.reuse(layer, previousLayer))) {
      return;
    }
    const descriptor = { mediaType: this.#mediaType, digest, size };
    await this.#writer.addBlob(path, descriptor, nameOf(layer));
    // A damaged blob of the previous build has been made anew, with the digest that clients know.
    const reused = digest === previousLayer?.descriptor.digest;
    this.#blobs.set(layer, { descriptor, diffId, reused });
  }

  /** Returns whether the writer has taken the blob from the previous build. */
  async #mount(descriptor: Descriptor, name: string): Promise<boolean> {
    const image = this.#previous?.image;
    if (image === undefined) {
      return true;
    }
    try {
      await this.#writer.mountBlob(descriptor, image, name);
      return true;
    } catch (error) {
      const isFaulty =
        error instanceof OstrataError && (error.code === 'CORRUPT' || error.code === 'NOT_FOUND');
      if (!isFaulty) {
        throw error;
      }
      this.#damaged.add(descriptor.digest);
      this.#log.warn(`${error.message}; the layer is made anew`);
      return false;
    }
  }

  blobOf(layer: PlannedBlob): WrittenBlob {
    return must(this.#blobs.get(layer), `the blob of layer ${layer.key}`);
  }
}

/**
 * Returns the descriptor of a previous layer for the new manifest, which is an OCI manifest even if
 * the previous one was Docker's. Only the annotations that describe the bytes of the blob are kept.
 */
function reusedDescriptor({ mediaType, digest, size, annotations }: Descriptor): Descriptor {
  const descriptor = { mediaType: ociLayerMediaType(mediaType), digest, size };
  const chunked = Object.entries(annotations ?? {}).filter(([key]) =>
    ZSTD_CHUNKED_PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
  if (chunked.length === 0 || layerCompression(mediaType) !== 'zstd') {
    return descriptor;
  }
  return { ...descriptor, annotations: Object.fromEntries(chunked) };
}

/** A layer, and the file that its blob is written to. */
interface StagedBlob {
  readonly layer: PlannedBlob;
  readonly path: string;
}

/** Calls `onWritten` for each blob as soon as it is written. */
async function writeMissing(
  blobs: readonly StagedBlob[],
  options: WriteBlobsOptions,
  onWritten: (staged: StagedBlob, blob: BlobResult) => Promise<void>,
): Promise<void> {
  const { tree, compression, jobs, log, signal } = options;
  const contentSize = blobs.reduce((sum, { layer }) => sum + contentSizeOf(layer.spec), 0);
  const tasks = blobs.map(({ layer, path }) => ({ spec: layer.spec, path }));

  await tree.fetch?.(blobs.flatMap(({ layer }) => checksumsOf(layer.spec)));
  // What planning has left would stay while the workers, who have memory of their own, do the work.
  await collectGarbage();
  const work = startWork(log, 'writing layers', contentSize);
  await writeLayers(tasks, {
    content: tree.content,
    compression,
    jobs,
    signal,
    onStart: (i) => {
      const { layer } = must(blobs[i], `task ${i}`);
      return work.startPart(`${i}`, nameOf(layer), contentSizeOf(layer.spec));
    },
    onWritten: (i, blob) => onWritten(must(blobs[i], `task ${i}`), blob),
  });
  work.end();
}

/** Returns what people call a layer: its largest component and how many more there are. */
function nameOf({ components = [] }: PlannedBlob): string {
  const largestFirst = [...components].sort((a, b) => b.size - a.size);
  const names = largestFirst.map(({ name }) => name);
  return layerName(names, COMMIT_LAYER_NAME);
}

function checksumsOf(spec: LayerSpec): readonly string[] {
  return spec.kind === 'commit' ? [] : spec.objects.map(({ checksum }) => checksum);
}

function contentSizeOf(spec: LayerSpec): number {
  return spec.kind === 'commit' ? 0 : spec.contentSize;
}
