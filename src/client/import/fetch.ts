/** Layers of one image on their way into a repository: fetched and read in worker threads, several at a time. */
import { inContextAsync } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import type { RepoWriter } from '../../ostree/write/writer.js';
import type { LayerToImport } from './plan.js';
import { ImportWorker, type LayerImport, type StagedLayer } from './worker.js';

export type FetchEvent =
  | {
      readonly event: 'fetching';
      readonly layer: number;
      readonly digest: string;
      readonly size: number;
    }
  | { readonly event: 'imported'; readonly layer: number; readonly digest: string };

export interface FetchOptions {
  /** Worker threads, each reads one layer at a time. */
  readonly jobs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onEvent?: ((event: FetchEvent) => void) | undefined;
}

/** How layers are read. */
export type LayerImportKind = Pick<LayerImport, 'kind' | 'keepAll'>;

/** Called when a layer was read and verified; its objects are in `directory`, not published. */
export type StagedVisitor = (
  layer: LayerToImport,
  staged: StagedLayer,
  directory: string,
) => void | Promise<void>;

export class LayerFetcher {
  readonly #writer: RepoWriter;
  readonly #image: ImageReader;
  readonly #options: FetchOptions;
  readonly #total: number;
  readonly #workers: ImportWorker[] = [];
  #done = 0;

  /** @param total compressed bytes of all layers that will be fetched */
  constructor(writer: RepoWriter, image: ImageReader, total: number, options: FetchOptions) {
    this.#writer = writer;
    this.#image = image;
    this.#total = total;
    this.#options = options;
  }

  /**
   * Fetches `layers`, the largest first, as the last to end decides how long all takes; but one thread begins with the
   * smallest, so that some are complete soon. Fails as soon as one does.
   */
  async fetch(
    layers: readonly LayerToImport[],
    kind: LayerImportKind,
    visit: StagedVisitor,
  ): Promise<void> {
    const queue = [...layers].sort(
      (a, b) => b.descriptor.size - a.descriptor.size || a.index - b.index,
    );
    const count = Math.min(this.#options.jobs, queue.length);
    while (this.#workers.length < count) {
      this.#workers.push(new ImportWorker());
    }
    let failure: { readonly error: unknown } | undefined;
    const run = async (worker: ImportWorker, place: number) => {
      const next = () => (place === 0 ? queue.pop() : queue.shift());
      for (let layer = next(); layer !== undefined && failure === undefined; layer = next()) {
        const { index, descriptor } = layer;
        await inContextAsync(`layer ${index} (${descriptor.digest})`, async () => {
          const [staged, directory] = await this.#fetchOne(layer as LayerToImport, worker, kind);
          if (failure !== undefined) {
            return;
          }
          await visit(layer as LayerToImport, staged, directory);
          this.#options.onEvent?.({ event: 'imported', layer: index, digest: descriptor.digest });
        });
      }
    };
    // The caller undoes what a failure leaves: nothing may be going on then.
    const runs = this.#workers.slice(0, count).map((worker, place) =>
      run(worker, place).catch(async (error: unknown) => {
        failure ??= { error };
        await this.close();
      }),
    );
    await Promise.all(runs);
    if (failure !== undefined) {
      throw failure.error;
    }
  }

  /** Ends the threads, also those that are reading. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async #fetchOne(
    layer: LayerToImport,
    worker: ImportWorker,
    kind: LayerImportKind,
  ): Promise<[StagedLayer, string]> {
    const { descriptor, diffId, index } = layer;
    const { log, signal, onEvent } = this.#options;
    const { digest, size } = descriptor;
    onEvent?.({ event: 'fetching', layer: index, digest, size });
    const directory = this.#writer.createStage();
    const task = { descriptor, diffId, ...kind, target: this.#writer.target, directory };
    const staged = await worker.import(task, this.#image.blob(descriptor), signal, (bytes) => {
      this.#done += bytes;
      log.progress('fetching layers', this.#done, this.#total);
    });
    return [staged, directory];
  }
}
