/** Fetches the layers of one image, several at a time, and reads them in worker threads. */
import { inContextAsync, must } from '../../errors.js';
import type { Context } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import type { LayerToImport } from './plan.js';
import {
  type ImportWorker,
  type LayerImport,
  type StagedLayer,
  startImportWorker,
} from './worker.js';

export type FetchEvent =
  /**
   * The fetch of a layer begins. `layer` is its index in the manifest, `size` its compressed size.
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

/** How layers are read. */
type LayerImportKind = Pick<LayerImport, 'kind'>;

/** Called with a layer that was read and verified; its objects are in `directory`, unpublished. */
type StagedVisitor<T> = (
  layer: LayerToImport,
  staged: StagedLayer,
  directory: string,
) => T | Promise<T>;

export class LayerFetcher {
  /** Compressed size of all layers that will be fetched: what progress counts up to. */
  totalBytes = 0;
  readonly #writer: RepoWriter;
  readonly #image: ImageReader;
  readonly #options: FetchOptions;
  readonly #workers: ImportWorker[] = [];
  #fetchedBytes = 0;

  constructor(writer: RepoWriter, image: ImageReader, options: FetchOptions) {
    this.#writer = writer;
    this.#image = image;
    this.#options = options;
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

    const run = async (worker: ImportWorker, isFirst: boolean) => {
      for (;;) {
        const layer = isFirst ? queue.takeSmallest() : queue.takeLargest();
        if (layer === undefined || errors.length > 0) {
          return;
        }
        const { index, descriptor } = layer;
        await inContextAsync(`layer ${index} (${descriptor.digest})`, async () => {
          const { staged, directory } = await this.#fetch(layer, worker, kind);
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
    const workers = this.#startWorkers(layers.length);
    await Promise.all(workers.map((worker, i) => run(worker, i === 0).catch(stopAll)));
    if (errors.length > 0) {
      throw errors[0];
    }

    return results.sort((a, b) => a.index - b.index).map(({ result }) => result);
  }

  /** Ends the threads, also those that are reading. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /**
   * Returns the threads for so many layers, starting those that are missing; all stay for the next
   * call.
   */
  #startWorkers(layerCount: number): readonly ImportWorker[] {
    const count = Math.min(this.#options.jobs, layerCount);
    while (this.#workers.length < count) {
      this.#workers.push(startImportWorker());
    }
    return this.#workers.slice(0, count);
  }

  async #fetch(
    layer: LayerToImport,
    worker: ImportWorker,
    kind: LayerImportKind,
  ): Promise<{ readonly staged: StagedLayer; readonly directory: string }> {
    const { descriptor, diffId, index } = layer;
    const { log, signal, onEvent } = this.#options;
    const { digest, size } = descriptor;
    onEvent?.({ event: 'fetching', layer: index, digest, size });

    const directory = this.#writer.createStage();
    const task = { descriptor, diffId, ...kind, target: this.#writer.target, directory };
    const blob = this.#image.blob(descriptor);
    const onProgress = (bytes: number) => {
      this.#fetchedBytes += bytes;
      log.progress('fetching layers', this.#fetchedBytes, this.totalBytes);
    };
    const staged = await worker.run(task, blob, { signal, onProgress });
    return { staged, directory };
  }
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
