/**
 * Fetches the layers of one image, several at a time, and reads them in worker threads. What a
 * delta has for a layer is fetched in its place.
 */
import { rmSync } from 'node:fs';
import { TAR_DIFF } from '../../delta/artifact.js';
import { inContextAsync, messageOf, must } from '../../errors.js';
import { COMMIT_LAYER_NAME, layerName } from '../../layers/layer-name.js';
import { type Context, startWork, type Work } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import {
  blobToFetch,
  type ImportPlan,
  type LayerToImport,
  layersToFetch,
  type PlannedDelta,
} from './plan.js';
import {
  type ImportWorker,
  type LayerImport,
  type StagedLayer,
  startImportWorker,
} from './worker.js';

export type FetchEvent =
  /**
   * The fetch of a layer begins. `layer` is its index in the manifest, `size` the number of bytes
   * to fetch. If the delta fails, the fetch begins again.
   */
  | {
      readonly event: 'fetching';
      readonly layer: number;
      readonly digest: string;
      readonly size: number;
    }
  /** A layer was fetched and verified. */
  | { readonly event: 'imported'; readonly layer: number; readonly digest: string };

export interface FetchOptions extends Context {
  /** Number of worker threads; each reads one layer at a time. */
  readonly jobs: number;
  readonly onEvent?: ((event: FetchEvent) => void) | undefined;
}

/** What has been fetched. */
export interface FetchCounts {
  /** Bytes of layers and of what a delta has for them. */
  readonly bytesFetched: number;
  /** Number of layers that were fetched as a delta. */
  readonly layersRebuilt: number;
}

/** How layers are read. */
type LayerImportKind = Pick<LayerImport, 'kind'>;

/** Called with a layer that was read and verified; its objects are in `directory`, unpublished. */
type StagedVisitor<T> = (
  layer: LayerToImport,
  staged: StagedLayer,
  directory: string,
) => T | Promise<T>;

/** A layer that was read and verified; its objects are in `directory`, unpublished. */
interface FetchedLayer {
  readonly staged: StagedLayer;
  readonly directory: string;
}

export class LayerFetcher {
  readonly #writer: RepoWriter;
  readonly #image: ImageReader;
  readonly #options: FetchOptions;
  /** By the place of a thread in {@link fetchAll}. */
  readonly #workers = new Map<number, ImportWorker>();
  /** Undefined if there is none, or if it failed. */
  #delta: PlannedDelta | undefined;
  #deltaImage: ImageReader | undefined;
  /** Layers that no thread has begun to fetch. */
  #waiting: Set<LayerToImport> = new Set();
  /** Reports how much of all that was and will be fetched; undefined if nothing is left. */
  #work: Work | undefined;
  #fetchedBytes = 0;
  #rebuilt = 0;
  #isClosed = false;

  constructor(writer: RepoWriter, image: ImageReader, options: FetchOptions) {
    this.#writer = writer;
    this.#image = image;
    this.#options = options;
  }

  get counts(): FetchCounts {
    return { bytesFetched: this.#fetchedBytes, layersRebuilt: this.#rebuilt };
  }

  /** From now on, fetches as the plan says. Closing this closes the delta of the plan. */
  follow({ delta, layers, counts }: ImportPlan): void {
    this.#deltaImage = delta?.image;
    this.#delta = delta;
    this.#waiting = new Set(layersToFetch(layers));
    if (this.#waiting.size > 0) {
      this.#work = startWork(this.#options.log, 'fetching layers', counts.bytesFetched);
    }
  }

  /** Fetches one layer and returns what `visit` returned for it. */
  async fetchOne<T>(
    layer: LayerToImport,
    kind: LayerImportKind,
    visit: StagedVisitor<T>,
  ): Promise<T> {
    const [result] = await this.fetchAll([layer], kind, visit);
    return must(result, `result of layer ${layer.index}`);
  }

  /**
   * Fetches `layers` and returns what `visit` returned for each, in the order of the manifest.
   * Fails as soon as one layer fails; by then all threads have stopped, and nothing is visited
   * any more.
   */
  async fetchAll<T>(
    layers: readonly LayerToImport[],
    kind: LayerImportKind,
    visit: StagedVisitor<T>,
  ): Promise<T[]> {
    const queue = new LayerQueue(layers);
    const results: { readonly index: number; readonly result: T }[] = [];
    const errors: unknown[] = [];

    const run = async (place: number) => {
      for (;;) {
        const layer = place === 0 ? queue.takeSmallest() : queue.takeLargest();
        if (layer === undefined || errors.length > 0) {
          return;
        }
        const { index, descriptor } = layer;
        await inContextAsync(`layer ${index} (${descriptor.digest})`, async () => {
          const { staged, directory } = await this.#fetch(layer, place, kind);
          if (errors.length > 0) {
            return;
          }
          results.push({ index, result: await visit(layer, staged, directory) });
          this.#options.onEvent?.({ event: 'imported', layer: index, digest: descriptor.digest });
        });
      }
    };

    // The caller undoes what a failed import left, so no thread may still be writing then.
    const stopAll = async (error: unknown) => {
      errors.push(error);
      await this.close();
    };
    const count = Math.min(this.#options.jobs, layers.length);
    await Promise.all(Array.from({ length: count }, (_, place) => run(place).catch(stopAll)));
    if (errors.length > 0) {
      throw errors[0];
    }
    if (this.#waiting.size === 0) {
      this.#work?.end();
      this.#work = undefined;
    }

    return results.sort((a, b) => a.index - b.index).map(({ result }) => result);
  }

  /** Ends the threads, also those that are reading. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const workers = [...this.#workers.values()];
    await Promise.all(workers.map((worker) => worker.terminate()));
    await this.#deltaImage?.close?.();
  }

  /** Fetches a layer by the delta, if there is one; if that fails, as it is. */
  async #fetch(layer: LayerToImport, place: number, kind: LayerImportKind): Promise<FetchedLayer> {
    this.#waiting.delete(layer);
    const delta = this.#delta;
    if (delta?.blobs.has(layer.descriptor.digest)) {
      try {
        const fetched = await this.#read(layer, place, kind, delta);
        this.#rebuilt++;
        return fetched;
      } catch (error) {
        this.#giveUpDelta(error, layer);
        this.#work?.expect(layer.descriptor.size);
      }
    }
    return this.#read(layer, place, kind);
  }

  /** Leaves the delta alone from now on. Throws `error` if it has not come from the delta. */
  #giveUpDelta(error: unknown, { index }: LayerToImport): void {
    const { log, signal } = this.#options;
    if (this.#isClosed || signal.aborted) {
      throw error;
    }
    // Several layers may fail at the same time.
    if (this.#delta !== undefined) {
      for (const layer of this.#waiting) {
        this.#work?.expect(layer.descriptor.size - blobToFetch(layer, this.#delta).size);
      }
      this.#delta = undefined;
      log.warn(
        `the delta fails, so layers are fetched as they are: layer ${index}: ${messageOf(error)}`,
      );
    }
  }

  async #read(
    layer: LayerToImport,
    place: number,
    { kind }: LayerImportKind,
    delta?: PlannedDelta,
  ): Promise<FetchedLayer> {
    const { diffId, index } = layer;
    const { signal, onEvent } = this.#options;
    const descriptor = blobToFetch(layer, delta);
    const { digest } = layer.descriptor;
    onEvent?.({ event: 'fetching', layer: index, digest, size: descriptor.size });

    const directory = this.#writer.createStage();
    const { target } = this.#writer;
    const oldCommit = descriptor.mediaType === TAR_DIFF ? delta?.source : undefined;
    const task: LayerImport = { descriptor, diffId, kind, oldCommit, target, directory };
    const blob = (delta?.image ?? this.#image).blob(descriptor);
    const part = this.#work?.startPart(digest, nameOf(layer), descriptor.size);
    const onProgress = (bytes: number) => {
      this.#fetchedBytes += bytes;
      part?.advance(bytes);
    };
    try {
      const staged = await this.#workerAt(place).run(task, blob, { signal, onProgress });
      part?.end();
      return { staged, directory };
    } catch (error) {
      this.#workers.delete(place); // the thread has ended
      part?.abandon();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Returns the thread at a place, which stays for the next layer. */
  #workerAt(place: number): ImportWorker {
    const worker = this.#workers.get(place) ?? startImportWorker();
    this.#workers.set(place, worker);
    return worker;
  }
}

/** Returns what people call a layer: what it holds or what made it. */
function nameOf({ kind, names, createdBy, index }: LayerToImport): string {
  const otherName = kind === 'commit' ? COMMIT_LAYER_NAME : createdBy;
  return layerName(names, otherName || `layer ${index}`);
}

/**
 * Layers that wait for a thread. Most threads take the largest first, as the layer that ends last
 * decides how long the import takes; one takes the smallest, so that some layers are complete soon
 * and need not be fetched again if the import is interrupted.
 */
class LayerQueue {
  readonly #layers: LayerToImport[];

  constructor(layers: readonly LayerToImport[]) {
    this.#layers = [...layers].sort(
      (a, b) => b.descriptor.size - a.descriptor.size || a.index - b.index,
    );
  }

  takeLargest(): LayerToImport | undefined {
    return this.#layers.shift();
  }

  takeSmallest(): LayerToImport | undefined {
    return this.#layers.pop();
  }
}
