/**
 * Makes a delta: an artifact from which clients that have the source image rebuild the layers of
 * the target image.
 */
import { statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inContext, inContextAsync, must } from '../errors.js';
import { describeImage, isPlain } from '../image/encapsulated.js';
import type { Context } from '../log.js';
import type { ImageReader } from '../oci/image.js';
import { sha256Digest } from '../oci/json.js';
import type { Descriptor } from '../oci/types.js';
import { XattrsInterner } from '../ostree/objects/xattr-list.js';
import { loadNativeZstd } from '../system/native-zstd.js';
import { largeFilesParent, makeTemporaryDirectory } from '../system/temporary-directory.js';
import { Semaphore } from '../transports/semaphore.js';
import type { ImageWriter } from '../transports/transport.js';
import type { LocatedTree } from '../tree/content-location.js';
import type { IndexedEntry } from '../tree/layer-index.js';
import { decodeLayerIndex } from '../tree/layer-index-file.js';
import { imageLayers } from '../tree/layer-source.js';
import { spooledTar } from '../tree/spool.js';
import { spoolLayers } from '../tree/spool-layers.js';
import { openSpooledImage } from '../tree/spooled-image.js';
import type { TreePath } from '../tree/tree.js';
import {
  EMPTY_OBJECT,
  encodeDelta,
  type ImageDocuments,
  readDocuments,
  TAR_DIFF,
} from './artifact.js';
import {
  type ContentSizes,
  type DeltaLevel,
  type LayerDiff,
  type NewLayer,
  writeLayerDiff,
} from './layer-diff.js';
import { OldFileIndex } from './match.js';

export interface CreateDeltaOptions extends Context {
  readonly level: DeltaLevel;
  /** Largest number of threads, at least 1. */
  readonly jobs: number;
  /** The parent of the uncompressed layers; by default TMPDIR or /var/tmp. */
  readonly spool?: string | undefined;
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
  /** Bytes of all blobs that clients fetch, with the manifest of the delta. */
  readonly size: number;
  readonly layers: readonly CreatedLayer[];
  /** Number of layers that both images have. */
  readonly reused: number;
}

/**
 * Writes the delta from `source` to `target` into `writer` and commits it. The same images give the
 * same bytes. Throws `UNSUPPORTED` where zstd has no prefixes, see {@link loadNativeZstd}, and what
 * {@link openSpooledImage} throws.
 */
export async function createDelta(
  source: ImageReader,
  target: ImageReader,
  writer: ImageWriter,
  options: CreateDeltaOptions,
): Promise<CreatedDelta> {
  const sourceDocuments = await readDocuments(source);
  const targetDocuments = await readDocuments(target);
  const missing = missingLayers(sourceDocuments, targetDocuments);
  const layers = await writeLayers(source, target, missing, writer, options);

  const blobs = new Map(layers.map(({ index, blob }) => [index, blob]));
  const manifest = encodeDelta(sourceDocuments, targetDocuments, blobs);
  await addDocuments(writer, targetDocuments);
  await writer.commit({ config: EMPTY_OBJECT, manifest, platform: undefined });

  const { manifestBytes, configBytes } = targetDocuments;
  const documentsSize = manifest.length + manifestBytes.length + configBytes.length;
  const layersSize = layers.reduce((sum, { size }) => sum + size, 0);
  return {
    manifestDigest: sha256Digest(manifest),
    size: documentsSize + layersSize,
    layers,
    reused: targetDocuments.manifest.layers.length - layers.length,
  };
}

/** Returns the indexes of the layers that the source image lacks. */
function missingLayers(source: ImageDocuments, target: ImageDocuments): readonly number[] {
  const known = new Set(source.config.rootfs.diff_ids);
  const diffIds = [...target.config.rootfs.diff_ids.entries()];
  return diffIds.filter(([, diffId]) => !known.has(diffId)).map(([index]) => index);
}

type WrittenLayer = CreatedLayer & { readonly blob: Descriptor };

async function writeLayers(
  source: ImageReader,
  target: ImageReader,
  missing: readonly number[],
  writer: ImageWriter,
  options: CreateDeltaOptions,
): Promise<readonly WrittenLayer[]> {
  const zstd = loadNativeZstd('making deltas');
  if (missing.length === 0) {
    return [];
  }
  const { spool = largeFilesParent(), log } = options;
  const directory = inContext(`making the spool in ${spool}`, () =>
    makeTemporaryDirectory('ostrata-spool-', spool),
  );
  let tree: LocatedTree | undefined;
  try {
    const isUsable = await pathsOfClients(source, options);
    const layers = await imageLayers(source);
    tree = await openSpooledImage(layers, { ...options, skipSpecialFiles: true });
    const index = new OldFileIndex(tree, isUsable);
    const newLayers = await spoolNewLayers(target, missing, directory.path, options);
    const jobs = new Semaphore(options.jobs);
    const diffOptions = { ...options, zstd, tree, index, jobs };
    const sizes = target.manifest.layers.map(({ size }) => size);

    const written: WrittenLayer[] = [];
    const total = missing.reduce((sum, layer) => sum + (sizes[layer] ?? 0), 0);
    for (const [layer, newLayer] of newLayers) {
      log.progress(
        'making the delta',
        written.reduce((sum, { layerSize }) => sum + layerSize, 0),
        total,
      );
      const file = join(writer.stagingDirectory, `layer-${layer}`);
      const diff = await inContextAsync(`making the delta of layer ${layer}`, () =>
        writeLayerDiff(file, newLayer, diffOptions),
      );
      written.push(await addLayer(layer, { file, diff }, target, writer));
    }
    return written;
  } finally {
    tree?.close?.();
    directory.remove();
  }
}

/**
 * Returns whether clients have the files at a path. Many have them in an ostree commit, which has
 * no files in `/var`; in that of an encapsulated image, nothing is at `/etc` either.
 */
async function pathsOfClients(
  source: ImageReader,
  { log }: Context,
): Promise<(path: TreePath) => boolean> {
  const { layers } = await describeImage(source, log);
  const isUnusable = isPlain(layers) ? /^\/var\// : /^\/(etc|var)\//;
  return (path) => !isUnusable.test(path);
}

/** Puts the tars of some layers into a folder, and returns them by their index. */
async function spoolNewLayers(
  target: ImageReader,
  missing: readonly number[],
  directory: string,
  options: CreateDeltaOptions,
): Promise<ReadonlyMap<number, NewLayer>> {
  const interner = new XattrsInterner();
  const entries = new Map<number, readonly IndexedEntry[]>();
  const source = await imageLayers(target);
  const layers = source.layers.filter(({ index }) => missing.includes(index));
  await spoolLayers(source, layers, {
    ...options,
    directory,
    onIndex: ({ index }, bytes) => entries.set(index, decodeLayerIndex(bytes, interner)),
  });

  const newLayers = new Map<number, NewLayer>();
  for (const index of missing) {
    const tar = spooledTar(directory, index);
    const tarSize = statSync(tar).size;
    newLayers.set(index, { tar, tarSize, entries: must(entries.get(index), `layer ${index}`) });
  }
  return newLayers;
}

/** Adds the tar-diff of a layer, or the layer as it is if that is smaller. */
async function addLayer(
  index: number,
  { file, diff }: { readonly file: string; readonly diff: LayerDiff },
  target: ImageReader,
  writer: ImageWriter,
): Promise<WrittenLayer> {
  const layer = must(target.manifest.layers[index], `layer ${index}`);
  const { digest, size: layerSize } = layer;
  const { size, content } = diff;
  if (size < layerSize) {
    const blob = { mediaType: TAR_DIFF, digest: diff.digest, size };
    await writer.addBlob(file, blob);
    return { index, digest, layerSize, size, content, blob };
  }
  await rm(file);
  await writer.mountBlob(layer, target);
  return { index, digest, layerSize, size: layerSize, content: undefined, blob: layer };
}

/** Adds the manifest and the config of the target image. */
async function addDocuments(
  writer: ImageWriter,
  { manifestBytes, manifestDigest, manifest, configBytes }: ImageDocuments,
): Promise<void> {
  const { config } = manifest;
  const documents = [
    ['target-manifest', manifestBytes, { ...config, digest: manifestDigest }],
    ['target-config', configBytes, config],
  ] as const;
  for (const [name, bytes, descriptor] of documents) {
    const file = join(writer.stagingDirectory, name);
    await writeFile(file, bytes);
    await writer.addBlob(file, { ...descriptor, size: bytes.length });
  }
}
