/** Reads layers into stages in worker threads; the blobs come through here, from wherever they are. */
import { Worker } from 'node:worker_threads';
import type { ByteStream } from '../../bytes/stream.js';
import { type ErrorCode, OstrataError, wrapError } from '../../errors.js';
import type { OstreeLayerKind } from '../../layers/read.js';
import type { Descriptor } from '../../oci/types.js';
import type { StageTarget } from '../../ostree/write/stage.js';
import type { DerivedLayer } from './derived-layer.js';

/** One layer to read; plain data. */
export interface LayerImport {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
  readonly diffId: string;
  readonly kind: OstreeLayerKind | 'derived';
  /** Of a derived layer: see {@link readDerivedLayer}. */
  readonly keepAll?: boolean | undefined;
  readonly target: StageTarget;
  /** Where objects are written, an empty directory on the repository's file system. */
  readonly directory: string;
}

/** A layer whose digests and objects were verified, its objects not yet published. */
export interface StagedLayer {
  /** Metadata objects by `CHECKSUM.kind`, the commit first. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  /** What a derived layer holds. */
  readonly derived?: DerivedLayer | undefined;
  /** Checksums of all content objects of the layer; none for a derived one. */
  readonly files: readonly string[];
  /** `CHECKSUM.extension` of what was written: the repository did not have it. */
  readonly names: readonly string[];
}

export type ImportRequest =
  | { readonly type: 'layer'; readonly layer: LayerImport }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'end' };
export type ImportReply =
  | { readonly type: 'taken'; readonly bytes: number }
  | ({ readonly type: 'staged' } & StagedLayer)
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

/** Bytes of a blob that may be on their way to a worker. */
const WINDOW = 4 << 20;

/** A thread that reads one layer at a time. */
export class ImportWorker {
  readonly #worker = new Worker(new URL('./worker-thread.js', import.meta.url));

  /** Fails as the layer, the stream or the signal does; then the worker is of no more use. */
  import(
    layer: LayerImport,
    blob: ByteStream,
    signal: AbortSignal,
    onProgress: (bytes: number) => void,
  ): Promise<StagedLayer> {
    const worker = this.#worker;
    return new Promise<StagedLayer>((resolve, reject) => {
      let open = true;
      let untaken = 0;
      let wake = () => {};
      const settle = () => {
        open = false;
        wake();
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: Error) => {
        settle();
        reject(error);
      };
      const onAbort = () => fail(new OstrataError('CANCELLED', 'importing layers: cancelled'));
      const onError = (error: unknown) => fail(wrapError('layer worker', error));
      const onExit = (code: number) =>
        fail(new OstrataError('IO', `layer worker ended with exit code ${code}`));
      const onMessage = (reply: ImportReply) => {
        if (reply.type === 'taken') {
          untaken -= reply.bytes;
          onProgress(reply.bytes);
          wake();
        } else if (reply.type === 'failed') {
          fail(new OstrataError(reply.code, reply.message));
        } else {
          settle();
          resolve(reply);
        }
      };
      const feed = async () => {
        for await (const chunk of blob) {
          if (!open) {
            return;
          }
          const bytes = new Uint8Array(chunk); // a copy: chunks of a stream may share one buffer
          untaken += bytes.length;
          worker.postMessage({ type: 'data', bytes } satisfies ImportRequest, [bytes.buffer]);
          while (open && untaken > WINDOW) {
            await new Promise<void>((resume) => {
              wake = resume;
            });
          }
        }
        worker.postMessage({ type: 'end' } satisfies ImportRequest);
      };
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      signal.addEventListener('abort', onAbort, { once: true });
      worker.postMessage({ type: 'layer', layer } satisfies ImportRequest);
      if (signal.aborted) {
        onAbort();
      } else {
        feed().catch((error: unknown) => open && fail(wrapError('fetching', error)));
      }
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}
