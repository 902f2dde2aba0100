/** Reads layers into stages in a worker thread; their blobs are fetched here, in this thread. */
import { Worker } from 'node:worker_threads';
import type { ByteStream } from '../../bytes/stream.js';
import { inContextAsync } from '../../errors.js';
import type { DerivedLayer } from '../../layers/derived.js';
import type { OstreeLayerKind } from '../../layers/read.js';
import type { Descriptor } from '../../oci/types.js';
import type { StageTarget } from '../../ostree/write/stage.js';
import { runWorkerTask } from '../../system/worker-task.js';
import { CreditWindow } from './credit-window.js';

/** One layer to read; plain data. */
export interface LayerImport {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
  readonly diffId: string;
  readonly kind: OstreeLayerKind | 'derived';
  readonly target: StageTarget;
  /** Where objects are written: an empty directory on the repository's file system. */
  readonly directory: string;
}

/** A layer whose digests and objects were verified; its objects are not yet published. */
export interface StagedLayer {
  /** Metadata objects by `CHECKSUM.kind`, the commit first. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  /** The tree of a derived layer; undefined for layers of the commit. */
  readonly derived?: DerivedLayer | undefined;
  /** Checksums of all content objects of the layer; empty for a derived layer. */
  readonly files: readonly string[];
  /** `CHECKSUM.extension` of the objects that were written; the repository did not have them. */
  readonly names: readonly string[];
}

/** To the worker: a layer, then the parts of its blob, then the end. */
export type ImportRequest =
  | { readonly type: 'layer'; readonly layer: LayerImport }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'end' };

/**
 * From the worker, unless it fails: how much of the blob it took, repeatedly, then the staged
 * layer.
 */
export type ImportReply =
  | { readonly type: 'taken'; readonly bytes: number }
  | { readonly type: 'staged'; readonly staged: StagedLayer };

/** Size of the part of a blob that may be on its way to the worker. */
const WINDOW_SIZE = 4 << 20;

/** A thread that reads one layer at a time. */
export class ImportWorker {
  readonly #worker: Worker;

  /** @param worker runs `worker-thread.js` unless a test says otherwise */
  constructor(worker = new Worker(new URL('./worker-thread.js', import.meta.url))) {
    this.#worker = worker;
  }

  /**
   * Reads a layer into its directory. Fails as soon as the layer is wrong, the blob or the thread
   * fails, or the signal is aborted; by then the thread has ended.
   * @param onProgress called with the number of bytes of the blob that the thread took
   */
  async import(
    layer: LayerImport,
    blob: ByteStream,
    signal: AbortSignal,
    onProgress: (bytes: number) => void,
  ): Promise<StagedLayer> {
    const window = new CreditWindow(WINDOW_SIZE);
    const onMessage = (reply: ImportReply) => {
      if (reply.type === 'staged') {
        return reply.staged;
      }
      window.taken(reply.bytes);
      onProgress(reply.bytes);
      return undefined;
    };

    const request: ImportRequest = { type: 'layer', layer };
    const reading = runWorkerTask(this.#worker, request, {
      name: 'importing layers',
      signal,
      onMessage,
    });
    const sending = inContextAsync('fetching', () => this.#send(blob, window));
    try {
      const [staged] = await Promise.all([reading, sending]);
      return staged;
    } catch (error) {
      // Ends the side that did not fail: a thread that waits for more bytes, or a blob that goes
      // on.
      window.close();
      await this.terminate();
      throw error;
    }
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  async #send(blob: ByteStream, window: CreditWindow): Promise<void> {
    for await (const chunk of blob) {
      if (window.isClosed) {
        return;
      }
      // Copied, because chunks of a stream may share a buffer, and a buffer that is transferred is
      // lost here.
      const bytes = new Uint8Array(chunk);
      this.#post({ type: 'data', bytes }, [bytes.buffer]);
      await window.send(chunk.length);
    }
    this.#post({ type: 'end' });
  }

  #post(request: ImportRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }
}
