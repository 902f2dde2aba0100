/** What worker threads that read layers into stages are asked and reply. */
import { Worker } from 'node:worker_threads';
import type { DerivedLayer } from '../../layers/derived.js';
import type { OstreeLayerKind } from '../../layers/read.js';
import type { Descriptor } from '../../oci/types.js';
import type { StageTarget } from '../../ostree/write/stage.js';
import { StreamWorker } from '../../system/stream-worker.js';

/** One layer to read; plain data. */
export interface LayerImport {
  /** The blob that is read: the layer as it is, or a tar-diff that gives it. */
  readonly descriptor: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
  readonly diffId: string;
  /** The commit whose files the tar-diff needs; undefined if the blob is no tar-diff. */
  readonly oldCommit?: string | undefined;
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

/** A thread that reads one layer at a time. */
export type ImportWorker = StreamWorker<LayerImport, StagedLayer>;

/** @param worker runs `worker-thread.js` unless a test says otherwise */
export function startImportWorker(
  worker = new Worker(new URL('./worker-thread.js', import.meta.url)),
): ImportWorker {
  return new StreamWorker(worker, 'importing layers');
}
