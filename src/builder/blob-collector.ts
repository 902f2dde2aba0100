/** Hands the blobs of layers to a transport, and remembers which blob each layer got. */
import { rmSync } from 'node:fs';
import type { SharedCache } from '../blobs/shared-cache.js';
import type { WantedBlob } from '../blobs/shared-entry.js';
import type { BlobResult } from '../blobs/writer.js';
import { must, OstrataError } from '../errors.js';
import { COMMIT_LAYER_NAME, layerName } from '../layers/layer-name.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import type { Logger } from '../log.js';
import { ZSTD_CHUNKED_PREFIXES } from '../oci/annotations.js';
import { layerCompression, ociLayerMediaType } from '../oci/media-types.js';
import type { Descriptor } from '../oci/types.js';
import type { BlobHolder, ImageWriter } from '../transports/transport.js';
import { Background } from './background.js';
import type { PreviousBuild, PreviousLayer } from './previous.js';

/** Blobs that are added to a shared cache at the same time. */
const MAX_ADDITIONS = 6;

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
  /**
   * Where the blob comes from: `base`, `previous-build`, `cache` (on the disk), `new` (made by this
   * build), or the reference of a shared cache.
   */
  readonly origin: string;
}

/** A layer, the blob that it needs, and the file that the blob is written to. */
export interface StagedBlob {
  readonly layer: PlannedBlob;
  readonly wanted: WantedBlob;
  readonly path: string;
}

export interface CollectorOptions {
  /** The build that the `unchanged` layers come from. */
  readonly previous: PreviousBuild | undefined;
  readonly sharedCache?: SharedCache | undefined;
  readonly log: Logger;
}

export class BlobCollector {
  readonly #writer: ImageWriter;
  readonly #previous: PreviousBuild | undefined;
  readonly #sharedCache: SharedCache | undefined;
  readonly #log: Logger;
  /** Digests of blobs of the previous build that have other bytes or are missing. */
  readonly #damaged = new Set<string>();
  readonly #blobs = new Map<PlannedBlob, WrittenBlob>();
  readonly #additions = new Background(MAX_ADDITIONS);

  constructor(writer: ImageWriter, { previous, sharedCache, log }: CollectorOptions) {
    this.#writer = writer;
    this.#previous = previous;
    this.#sharedCache = sharedCache;
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
    const { diffId } = previousLayer;
    this.#blobs.set(layer, { descriptor, diffId, reused: true, origin: 'previous-build' });
    return true;
  }

  /** Runs `body`, which adds files, and waits until all of them are handed over. */
  async finish(body: () => Promise<void>): Promise<void> {
    await this.#additions.finish(body);
  }

  /**
   * Takes the finished file of a layer, and adds it to the shared cache. It may return before that
   * is done: {@link finish} waits for it. Throws if an earlier file could not be handed over.
   */
  async add(staged: StagedBlob, blob: BlobResult, origin: string): Promise<void> {
    const cache = this.#sharedCache;
    if (cache === undefined) {
      await this.take(staged, blob, origin);
      return;
    }
    this.#additions.start(async () => {
      const holder = await cache.add(staged.wanted, staged.path, blob);
      await this.take(staged, blob, origin, holder);
    });
  }

  /**
   * Takes the finished file of a layer, unless the blob can be had without it; see {@link adopt}.
   * @param holder what has the blob, maybe in the same registry
   */
  async take(
    staged: StagedBlob,
    blob: BlobResult,
    origin: string,
    holder?: BlobHolder,
  ): Promise<void> {
    const { layer, wanted, path } = staged;
    if (await this.adopt(staged, blob, origin, holder)) {
      rmSync(path, { force: true });
      return;
    }
    const { digest, size } = blob;
    const descriptor = { mediaType: wanted.mediaType, digest, size };
    await this.#writer.addBlob(path, descriptor, nameOf(layer));
    this.#remember(layer, wanted, blob, origin);
  }

  /**
   * Takes over a blob of the same tar from the previous build, or the blob itself from another
   * repository of the registry. Returns false if that is impossible.
   */
  async adopt(
    { layer, wanted }: StagedBlob,
    blob: BlobResult,
    origin: string,
    holder: BlobHolder | undefined,
  ): Promise<boolean> {
    const previousLayer = this.#previous?.byDiffId.get(blob.diffId);
    if (previousLayer !== undefined && (await this.reuse(layer, previousLayer))) {
      return true;
    }
    const { digest, size } = blob;
    const descriptor = { mediaType: wanted.mediaType, digest, size };
    const isAdopted =
      holder !== undefined && (await this.#writer.adoptBlob?.(descriptor, holder)) === true;
    if (isAdopted) {
      this.#remember(layer, wanted, blob, origin);
    }
    return isAdopted;
  }

  blobOf(layer: PlannedBlob): WrittenBlob {
    return must(this.#blobs.get(layer), `the blob of layer ${layer.key}`);
  }

  #remember(
    layer: PlannedBlob,
    { mediaType }: WantedBlob,
    { digest, size, diffId }: BlobResult,
    origin: string,
  ): void {
    // A damaged blob of the previous build has been made anew, with the digest that clients know.
    const reused = digest === this.#previous?.byDiffId.get(diffId)?.descriptor.digest;
    this.#blobs.set(layer, { descriptor: { mediaType, digest, size }, diffId, reused, origin });
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
}

/** Returns what people call a layer: its largest component and how many more there are. */
export function nameOf({ components = [] }: PlannedBlob): string {
  const largestFirst = [...components].sort((a, b) => b.size - a.size);
  const names = largestFirst.map(({ name }) => name);
  return layerName(names, COMMIT_LAYER_NAME);
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
