/**
 * Makes deltas: artifacts from which clients that have a source image rebuild the layers of the
 * target image.
 */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inContextAsync, must } from '../errors.js';
import { describeImage, isPlain } from '../image/encapsulated.js';
import { MOUNT_POINTS } from '../layers/derived.js';
import { type Context, startWork } from '../log.js';
import { EMPTY_OBJECT } from '../oci/empty-config.js';
import type { ImageReader } from '../oci/image.js';
import { sha256Digest } from '../oci/json.js';
import type { Descriptor } from '../oci/types.js';
import { loadNativeZstd, type NativeZstd } from '../system/native-zstd.js';
import { Semaphore } from '../transports/semaphore.js';
import type { ImageWriter } from '../transports/transport.js';
import { imageLayers } from '../tree/layer-source.js';
import { type LayerIndexStore, openSpooledImage } from '../tree/spooled-image.js';
import type { TreePath } from '../tree/tree.js';
import { encodeDelta, type ImageDocuments, readDocuments, TAR_DIFF } from './artifact.js';
import { EditThreads } from './edit-threads.js';
import {
  type ContentSizes,
  type LayerDiff,
  type LayerDiffOptions,
  writeLayerDiff,
} from './layer-diff.js';
import type { DeltaLevel } from './levels.js';
import { OldFileIndex } from './match.js';
import { type NewLayers, openNewLayers } from './new-layers.js';
import { addSignature } from './signatures.js';

/** The stream of one layer is written by one thread; others compare files of a second layer. */
const LAYERS_AT_ONCE = 2;

export interface CreateDeltaOptions extends Context {
  readonly level: DeltaLevel;
  /** Largest number of threads, at least 1. */
  readonly jobs: number;
  /** The parent of the uncompressed layers; by default TMPDIR or /var/tmp. */
  readonly spool?: string | undefined;
  /** What is known about the layers of source images, which are then read only where needed. */
  readonly indexes?: LayerIndexStore | undefined;
  /** Whether a delta is left out that is not smaller than the layers that it stands for. */
  readonly isSmallerOnly?: boolean | undefined;
  /** The signatures of the target, which each delta then carries; see signatures.ts. */
  readonly signatures?: readonly ImageReader[] | undefined;
}

/** An image that clients have, and where the delta from it goes. */
export interface DeltaRequest {
  readonly source: ImageReader;
  readonly writer: ImageWriter;
}

/** A layer of the target image that the source image lacks. */
export interface CreatedLayer {
  readonly index: number;
  readonly digest: string;
  /** Bytes of the layer. */
  readonly layerSize: number;
  /** Bytes in the delta. */
  readonly size: number;
  /** Undefined if the layer is in the delta as it is. */
  readonly content: ContentSizes | undefined;
}

export interface CreatedDelta {
  readonly manifestDigest: string;
  /** Whether it was written; see `isSmallerOnly`. */
  readonly isWritten: boolean;
  /** Bytes of all blobs that clients fetch, with the manifest of the delta. */
  readonly size: number;
  /** Bytes of the layers that the source image lacks. */
  readonly layersSize: number;
  readonly layers: readonly CreatedLayer[];
  /** Number of layers that both images have. */
  readonly reused: number;
}

/**
 * Writes a delta to `target` for each request, one after the other, and commits it. Each layer of
 * the target is read once. The same images give the same bytes. Throws `UNSUPPORTED` where zstd has
 * no prefixes, see {@link loadNativeZstd}, and what {@link openSpooledImage} throws. The caller
 * discards the writers.
 */
export async function createDeltas(
  target: ImageReader,
  requests: readonly DeltaRequest[],
  options: CreateDeltaOptions,
): Promise<readonly CreatedDelta[]> {
  const zstd = loadNativeZstd('making deltas');
  const targetDocuments = await readDocuments(target);
  const sources: Source[] = [];
  for (const { source: image } of requests) {
    const documents = await readDocuments(image);
    sources.push({ image, documents, missing: missingLayers(documents, targetDocuments) });
  }
  const wanted = new Set(sources.flatMap(({ missing }) => missing));
  const newLayers = await openNewLayers(target, wanted, options);
  try {
    const created: CreatedDelta[] = [];
    for (const [i, source] of sources.entries()) {
      const { writer } = must(requests[i], `request ${i}`);
      const maker = new DeltaMaker({ source, target, targetDocuments, newLayers, writer, zstd });
      created.push(await maker.make(options));
    }
    return created;
  } finally {
    newLayers.close();
  }
}

/** An image that clients have. */
interface Source {
  readonly image: ImageReader;
  readonly documents: ImageDocuments;
  /** The indexes of the layers of the target image that it lacks; of equal ones, the first. */
  readonly missing: readonly number[];
}

function missingLayers(source: ImageDocuments, target: ImageDocuments): readonly number[] {
  const known = new Set(source.config.rootfs.diff_ids);
  const diffIds = target.config.rootfs.diff_ids;
  const missing = new Map<string, number>();
  for (const [index, { digest }] of target.manifest.layers.entries()) {
    const isKnown = known.has(must(diffIds[index], `diff_id ${index}`));
    if (!isKnown && !missing.has(digest)) {
      missing.set(digest, index);
    }
  }
  return [...missing.values()];
}

interface DeltaParts {
  readonly source: Source;
  readonly target: ImageReader;
  readonly targetDocuments: ImageDocuments;
  readonly newLayers: NewLayers;
  readonly writer: ImageWriter;
  readonly zstd: NativeZstd;
}

/** A layer, and what the delta has for it. */
interface PreparedLayer extends CreatedLayer {
  readonly blob: Descriptor;
  /** The tar-diff; undefined if the layer is in the delta as it is. */
  readonly file: string | undefined;
}

/** Makes the delta from one image. */
class DeltaMaker {
  readonly #parts: DeltaParts;

  constructor(parts: DeltaParts) {
    this.#parts = parts;
  }

  async make(options: CreateDeltaOptions): Promise<CreatedDelta> {
    const { source, targetDocuments } = this.#parts;
    const { missing, documents } = source;
    const layers = missing.length === 0 ? [] : await this.#prepareLayers(options);
    const blobs = new Map(layers.map(({ digest, blob }) => [digest, blob]));
    const { signatures = [] } = options;
    const manifest = encodeDelta(documents, targetDocuments, blobs, signatures);

    const size = manifest.length + sizeOfDocuments(targetDocuments) + sum(layers, 'size');
    const layersSize = sum(layers, 'layerSize');
    const isWritten = !options.isSmallerOnly || size < layersSize;
    if (isWritten) {
      await this.#write(layers, manifest, signatures);
    }
    const reused = targetDocuments.manifest.layers.filter(({ digest }) => !blobs.has(digest));
    const manifestDigest = sha256Digest(manifest);
    return { manifestDigest, isWritten, size, layersSize, layers, reused: reused.length };
  }

  async #prepareLayers(options: CreateDeltaOptions): Promise<readonly PreparedLayer[]> {
    const { source, zstd } = this.#parts;
    const { image } = source;
    const isUsable = await pathsOfClients(image, options);
    const layers = await imageLayers(image);
    const tree = await openSpooledImage(layers, { ...options, skipSpecialFiles: true });
    const threads = new EditThreads(tree);
    try {
      const index = new OldFileIndex(tree, isUsable);
      const jobs = new Semaphore(options.jobs);
      const large = new Semaphore(1);
      const layersAtOnce = Math.min(options.jobs, LAYERS_AT_ONCE);
      const diffOptions = { ...options, zstd, tree, index, threads, jobs, large };
      return await this.#prepareAll(layersAtOnce, diffOptions);
    } finally {
      await threads.close();
      tree.close?.();
    }
  }

  async #prepareAll(
    layersAtOnce: number,
    options: LayerDiffOptions & Context,
  ): Promise<readonly PreparedLayer[]> {
    const { source, targetDocuments } = this.#parts;
    const { layers } = targetDocuments.manifest;
    const sizeOf = (index: number) => must(layers[index], `layer ${index}`).size;
    const waiting = source.missing.toSorted((a, b) => sizeOf(b) - sizeOf(a));
    const total = waiting.reduce((size, layer) => size + sizeOf(layer), 0);

    const failure = new AbortController();
    const signal = AbortSignal.any([options.signal, failure.signal]);
    const work = startWork(options.log, 'making the delta', total);
    const prepared: PreparedLayer[] = [];
    const errors: unknown[] = [];
    const run = async () => {
      for (let layer = waiting.shift(); layer !== undefined; layer = waiting.shift()) {
        const part = work.startPart(`${layer}`, `layer ${layer}`, sizeOf(layer));
        prepared.push(await this.#prepareLayer(layer, { ...options, signal }));
        part.end();
      }
    };
    const stopOthers = (error: unknown) => {
      errors.push(error);
      failure.abort();
    };
    const runs = Array.from({ length: layersAtOnce }, () => run().catch(stopOthers));
    await Promise.all(runs);
    if (errors.length > 0) {
      throw errors[0];
    }
    work.end();
    return prepared.toSorted((a, b) => a.index - b.index);
  }

  async #prepareLayer(index: number, options: LayerDiffOptions): Promise<PreparedLayer> {
    const newLayer = must(this.#parts.newLayers.layers.get(index), `layer ${index}`);
    const file = this.#staged(`layer-${index}`);
    const diff = await inContextAsync(`making the delta of layer ${index}`, () =>
      writeLayerDiff(file, newLayer, options),
    );
    return this.#smaller(index, file, diff);
  }

  /** Returns the tar-diff of a layer, or the layer as it is if that is smaller. */
  async #smaller(index: number, file: string, diff: LayerDiff): Promise<PreparedLayer> {
    const { manifest } = this.#parts.targetDocuments;
    const layer = must(manifest.layers[index], `layer ${index}`);
    const { digest, size: layerSize } = layer;
    const { size, content } = diff;
    if (size < layerSize) {
      const blob = { mediaType: TAR_DIFF, digest: diff.digest, size };
      return { index, digest, layerSize, size, content, blob, file };
    }
    await rm(file);
    const asItIs = { content: undefined, blob: layer, file: undefined };
    return { index, digest, layerSize, size: layerSize, ...asItIs };
  }

  async #write(
    layers: readonly PreparedLayer[],
    manifest: Uint8Array,
    signatures: readonly ImageReader[],
  ): Promise<void> {
    const { writer, target, targetDocuments } = this.#parts;
    for (const { file, blob } of layers) {
      if (file === undefined) {
        await writer.mountBlob(blob, target);
      } else {
        await writer.addBlob(file, blob);
      }
    }
    await this.#addDocuments(targetDocuments);
    for (const signature of signatures) {
      await addSignature(writer, signature);
    }
    await writer.commit({ config: EMPTY_OBJECT, manifest, platform: undefined });
  }

  /** Adds the manifest and the config of the target image. */
  async #addDocuments({
    manifestBytes,
    manifestDigest,
    manifest,
    configBytes,
  }: ImageDocuments): Promise<void> {
    const { config } = manifest;
    const documents = [
      ['target-manifest', manifestBytes, { ...config, digest: manifestDigest }],
      ['target-config', configBytes, config],
    ] as const;
    for (const [name, bytes, descriptor] of documents) {
      const file = this.#staged(name);
      await writeFile(file, bytes);
      await this.#parts.writer.addBlob(file, { ...descriptor, size: bytes.length });
    }
  }

  /** Returns the path of a file that the writer takes over. */
  #staged(name: string): string {
    return join(this.#parts.writer.stagingDirectory, name);
  }
}

function sizeOfDocuments({ manifestBytes, configBytes }: ImageDocuments): number {
  return manifestBytes.length + configBytes.length;
}

function sum(layers: readonly CreatedLayer[], member: 'size' | 'layerSize'): number {
  return layers.reduce((total, layer) => total + layer[member], 0);
}

/**
 * Returns whether clients have the files at a path. Many have them in an ostree commit, which has
 * no files in `/var` and at mount points; in that of an encapsulated image, nothing is at `/etc`
 * either. If it has derived layers, only `/usr` is sure: outside it, many systems have none of the
 * files of these layers.
 */
async function pathsOfClients(
  source: ImageReader,
  { log }: Context,
): Promise<(path: TreePath) => boolean> {
  const { layers } = await describeImage(source, log);
  if (layers.some(({ kind }) => kind === 'derived')) {
    return (path) => path.startsWith('/usr/');
  }
  const missing = new Set([...MOUNT_POINTS, 'var']);
  if (!isPlain(layers)) {
    missing.add('etc');
  }
  return (path) => {
    const [, top = ''] = path.split('/');
    return !missing.has(top);
  };
}
