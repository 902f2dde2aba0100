/**
 * The second step of a build, the same for every kind of tree and image: layers -> blobs -> config
 * and manifest -> transport.
 */
import { setImmediate } from 'node:timers/promises';
import { inContextAsync, OstrataError } from '../errors.js';
import { encodeRecord } from '../layout/record.js';
import { type Context, startWork } from '../log.js';
import { chainId } from '../oci/chain-id.js';
import type { ImageWriter } from '../transports/transport.js';
import type { WrittenBlob } from './blob-collector.js';
import {
  type AssembledImage,
  assembleImage,
  type ImageDescription,
  type ImageLayer,
} from './image-config.js';
import type { ImagePlan, PlannedChunk } from './image-plan.js';
import { type BlobOptions, writeBlobs } from './write-blobs.js';

export interface WrittenImage extends AssembledImage {
  /** In image order: those of the base image or the commit layer come first. */
  readonly layers: readonly WrittenLayer[];
}

export interface WrittenLayer extends WrittenBlob {
  /** Whether it is a layer of the base image. */
  readonly isOfBase: boolean;
  /** Undefined for the commit layer and for those of the base image. */
  readonly chunk: PlannedChunk | undefined;
  /** Bytes of regular files; 0 for the commit layer. */
  readonly contentSize: number;
}

/** What the manifest and the history of an image say about a layer of components. */
export type LayerDescriber = (chunk: PlannedChunk) => {
  readonly annotations: Readonly<Record<string, string>>;
  readonly author?: string | undefined;
  readonly createdBy: string;
  readonly comment?: string | undefined;
};

/** What an image says about itself and its layers. */
export interface ImageDescriptions {
  readonly description: ImageDescription;
  readonly describeLayer: LayerDescriber;
}

/**
 * Writes the planned layers, reusing those that did not change, and commits the image to `writer`.
 * On failure nothing is left at the destination.
 * @param describe called first: options that do not fit the tree fail before any work is done
 */
export async function writePlannedImage(
  plan: ImagePlan,
  writer: ImageWriter,
  options: BlobOptions & Context,
  describe: () => ImageDescriptions,
): Promise<WrittenImage> {
  try {
    return await writeAndCommit(plan, writer, options, describe());
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

async function writeAndCommit(
  plan: ImagePlan,
  writer: ImageWriter,
  options: BlobOptions & Context,
  { description, describeLayer }: ImageDescriptions,
): Promise<WrittenImage> {
  const { compression, jobs, cache, sharedCache, log, signal } = options;
  const { base, commitLayer, chunks, previous } = plan;
  const ofBase = layersOfBase(plan);
  if (base !== undefined) {
    const work = startWork(log, 'taking over the base', ofBase.length, 'layers');
    for (const { descriptor } of ofBase) {
      await inContextAsync('writing layers', () => setImmediate(undefined, { signal }));
      await writer.mountBlob(descriptor, base.image);
      work.advance(1);
    }
    work.end();
  }
  const planned = commitLayer === undefined ? chunks : [commitLayer, ...chunks];
  const blobs = await writeBlobs(planned, writer, {
    tree: plan.tree,
    previous,
    compression,
    jobs,
    cache,
    sharedCache,
    log,
    signal,
  });

  const commitCount = planned.length - chunks.length;
  const ownLayers = blobs.map((blob, i) =>
    writtenLayer(plan, chunks[i - commitCount], blob, describeLayer),
  );
  const layers = [...ofBase, ...ownLayers];
  const diffIds = layers.map(({ diffId }) => diffId);
  const record = encodeRecord({ ...plan.record, chainId: chainId(diffIds) }, log);
  const image = assembleImage(description, ownLayers, record, base);
  if (signal.aborted) {
    throw new OstrataError('CANCELLED', 'writing the image: cancelled');
  }
  await writer.commit(image);
  return { ...image, layers };
}

/** Returns the layers of the base image, which the new image keeps. */
export function layersOfBase({ base, previous }: ImagePlan): readonly WrittenLayer[] {
  const { layers, contentSizes } = base ?? { layers: [], contentSizes: [] };
  return layers.map(({ descriptor, diffId }, i) => ({
    descriptor,
    diffId,
    isOfBase: true,
    chunk: undefined,
    contentSize: contentSizes[i] ?? 0,
    reused: previous?.byDiffId.get(diffId)?.descriptor.digest === descriptor.digest,
    origin: 'base',
  }));
}

/** @param chunk undefined for the commit layer */
function writtenLayer(
  { commitLayer }: ImagePlan,
  chunk: PlannedChunk | undefined,
  blob: WrittenBlob,
  describeLayer: LayerDescriber,
): WrittenLayer & ImageLayer {
  const isOfBase = false;
  if (chunk === undefined) {
    const createdBy = commitLayer?.createdBy ?? '';
    return { ...blob, isOfBase, chunk, contentSize: 0, createdBy };
  }
  const { annotations, ...history } = describeLayer(chunk);
  const { descriptor } = blob;
  return {
    ...blob,
    isOfBase,
    chunk,
    contentSize: chunk.contentSize,
    descriptor: { ...descriptor, annotations: { ...descriptor.annotations, ...annotations } },
    ...history,
  };
}
