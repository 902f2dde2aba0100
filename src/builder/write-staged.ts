/** Lets worker threads write the blobs of layers, or compute what they would be. */
import type { Compression } from '../blobs/compress.js';
import { writeLayers } from '../blobs/pool.js';
import type { BlobResult } from '../blobs/writer.js';
import { must } from '../errors.js';
import type { LayerSpec } from '../layers/layer-spec.js';
import { type Context, startWork } from '../log.js';
import { collectGarbage } from '../system/memory.js';
import type { LocatedTree } from '../tree/content-location.js';
import { nameOf, type StagedBlob } from './blob-collector.js';

export interface WriteOptions extends Context {
  readonly tree: Pick<LocatedTree, 'content' | 'fetch'>;
  readonly jobs: number;
}

/** What is done with each layer. */
export interface StagedTask {
  /** A gerund phrase for the progress. */
  readonly what: string;
  readonly compression: Compression;
  /** Whether the blobs are written to their files, and not only hashed. */
  readonly isKept: boolean;
}

/** Calls `onWritten` for each blob as soon as it is written or hashed. */
export async function writeStaged(
  blobs: readonly StagedBlob[],
  { what, compression, isKept }: StagedTask,
  { tree, jobs, log, signal }: WriteOptions,
  onWritten: (staged: StagedBlob, blob: BlobResult) => Promise<void>,
): Promise<void> {
  const contentSize = blobs.reduce((sum, { layer }) => sum + contentSizeOf(layer.spec), 0);
  const tasks = blobs.map(({ layer, path }) => ({
    spec: layer.spec,
    path: isKept ? path : undefined,
  }));

  await tree.fetch?.(blobs.flatMap(({ layer }) => checksumsOf(layer.spec)));
  // What planning has left would stay while the workers, who have memory of their own, do the work.
  await collectGarbage();
  const work = startWork(log, what, contentSize);
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

function checksumsOf(spec: LayerSpec): readonly string[] {
  return spec.kind === 'commit' ? [] : spec.objects.map(({ checksum }) => checksum);
}

function contentSizeOf(spec: LayerSpec): number {
  return spec.kind === 'commit' ? 0 : spec.contentSize;
}
