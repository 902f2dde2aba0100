/** The layers of the target image of a delta, uncompressed on the disk. */
import { statSync } from 'node:fs';
import { inContext, must } from '../errors.js';
import type { ImageReader } from '../oci/image.js';
import { XattrsInterner } from '../ostree/objects/xattr-list.js';
import { largeFilesParent, makeTemporaryDirectory } from '../system/temporary-directory.js';
import type { IndexedEntry } from '../tree/layer-index.js';
import { decodeLayerIndex } from '../tree/layer-index-file.js';
import { imageLayers } from '../tree/layer-source.js';
import { spooledTar } from '../tree/spool.js';
import { type SpoolLayersOptions, spoolLayers } from '../tree/spool-layers.js';
import type { NewLayer } from './layer-diff.js';

export interface NewLayersOptions extends Omit<SpoolLayersOptions, 'directory' | 'onIndex'> {
  /** The parent of the folder for the layers; by default TMPDIR or /var/tmp. */
  readonly spool?: string | undefined;
}

/** Layers by their index in the manifest. */
export interface NewLayers {
  readonly layers: ReadonlyMap<number, NewLayer>;
  /** Removes their files. */
  close(): void;
}

/** Reads some layers of an image, each once. */
export async function openNewLayers(
  image: ImageReader,
  wanted: ReadonlySet<number>,
  options: NewLayersOptions,
): Promise<NewLayers> {
  const { spool = largeFilesParent() } = options;
  const directory = inContext(`making the spool in ${spool}`, () =>
    makeTemporaryDirectory('ostrata-spool-', spool),
  );
  try {
    const layers = await spoolNewLayers(image, wanted, directory.path, options);
    return { layers, close: () => directory.remove() };
  } catch (error) {
    directory.remove();
    throw error;
  }
}

async function spoolNewLayers(
  image: ImageReader,
  wanted: ReadonlySet<number>,
  directory: string,
  options: NewLayersOptions,
): Promise<ReadonlyMap<number, NewLayer>> {
  const interner = new XattrsInterner();
  const entries = new Map<number, readonly IndexedEntry[]>();
  const source = await imageLayers(image);
  const layers = source.layers.filter(({ index }) => wanted.has(index));
  await spoolLayers(source, layers, {
    ...options,
    directory,
    onIndex: ({ index }, bytes) => entries.set(index, decodeLayerIndex(bytes, interner)),
  });

  const newLayers = new Map<number, NewLayer>();
  for (const { index } of layers) {
    const tar = spooledTar(directory, index);
    const tarSize = statSync(tar).size;
    newLayers.set(index, { tar, tarSize, entries: must(entries.get(index), `layer ${index}`) });
  }
  return newLayers;
}
