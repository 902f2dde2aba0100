/** The tree of an image, with its layers on the disk: the input of a build. */
import { rmSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { inContext, inContextAsync, messageOf, OstrataError } from '../errors.js';
import type { Context } from '../log.js';
import { XattrsInterner } from '../ostree/objects/xattr-list.js';
import { largeFilesParent, makeTemporaryDirectory } from '../system/temporary-directory.js';
import { withCommitAttributes } from './commit-attributes.js';
import { type LocatedTree, readFunctions } from './content-location.js';
import { type FlattenedImage, flattenLayers, type LayerPaths, layerPaths } from './flatten.js';
import { type BaseImage, type KeptBase, keepBase } from './kept-base.js';
import type { LabelSource } from './labels.js';
import type { IndexedEntry } from './layer-index.js';
import { decodeLayerIndex } from './layer-index-file.js';
import type { LayerSource, SourceLayer } from './layer-source.js';
import { type SpooledFile, spooledTar, writeSpoolContent } from './spool.js';
import { spoolLayers } from './spool-layers.js';
import type { TreePath } from './tree.js';

/** Keeps the encoded indexes of layers by their diffIds, so that a layer is read only once. */
export interface LayerIndexStore {
  load(diffId: string): Uint8Array | undefined;
  save(diffId: string, index: Uint8Array): void;
}

/** Which layers are read, if not all: those that nobody has read are as if they were empty. */
export interface LayerSelection {
  /** Indexes of layers, in the order in which they are read. */
  readonly order: readonly number[];
  /**
   * Whether no more layers are needed; called after each one.
   * @param layers the entries of all layers, none for those that were not read
   */
  isEnough(layers: readonly (readonly IndexedEntry[])[]): boolean;
}

export interface SpooledImage extends LocatedTree {
  /** Undefined unless `listsLayers` asks for it. */
  readonly layers?: readonly LayerPaths[] | undefined;
}

export interface SpooledImageOptions extends Context {
  /** Largest number of threads that read layers, at least 1. */
  readonly jobs: number;
  /** The parent of the spool; by default TMPDIR or /var/tmp. */
  readonly spool?: string | undefined;
  readonly indexes?: LayerIndexStore | undefined;
  /** The base image that the image begins with, if its layers are kept. */
  readonly base?: BaseImage | undefined;
  readonly isPruned?: ((path: TreePath) => boolean) | undefined;
  /** Whether devices, pipes and sockets are left out; by default they are an error. */
  readonly skipSpecialFiles?: boolean | undefined;
  /**
   * Returns what labels the files, which then have all attributes as in a commit; by default they
   * have those of the layers.
   */
  readonly labels?: LabelSource | undefined;
  readonly selection?: LayerSelection | undefined;
  /** Whether the result says which layer each path comes from. */
  readonly listsLayers?: boolean | undefined;
}

/**
 * Opens the tree of an image as programs unpack it. Each layer is read once, in parallel, unless
 * `indexes` knows it; then it is read when the content of one of its files is asked for. The ostree
 * repository of an encapsulated image is not part of the tree.
 *
 * The spool takes as much space as the uncompressed layers that were read. Throws what {@link
 * spoolLayers} and {@link flattenLayers} throw, and `UNSUPPORTED` for a special file.
 */
export async function openSpooledImage(
  source: LayerSource,
  options: SpooledImageOptions,
): Promise<SpooledImage> {
  const { spool = largeFilesParent() } = options;
  const directory = inContext(`making the spool in ${spool}`, () =>
    makeTemporaryDirectory('ostrata-spool-', spool),
  );
  try {
    const layers = new SpooledLayers(source, directory.path, options);
    const { flattened, base, paths } = await mergeLayers(source, layers, options);
    const treeOf = (image: FlattenedImage) =>
      spooledTree(source.name, image, layers, () => directory.remove());
    const tree = treeOf(flattened);
    layers.removeUnused(spooledFiles(flattened));
    if (options.labels === undefined) {
      return { ...tree, base, layers: paths };
    }
    const labelOf = await options.labels(tree);
    return treeOf(await withCommitAttributes(flattened, tree, labelOf, options));
  } catch (error) {
    directory.remove();
    throw error;
  }
}

interface MergedLayers {
  readonly flattened: FlattenedImage;
  readonly base: KeptBase | undefined;
  readonly paths: readonly LayerPaths[] | undefined;
}

/**
 * Returns the tree that the layers make. It is a function of its own so that the closures of {@link
 * openSpooledImage} do not keep the entries of all layers in memory.
 */
async function mergeLayers(
  source: LayerSource,
  layers: SpooledLayers,
  options: SpooledImageOptions,
): Promise<MergedLayers> {
  const { isPruned, listsLayers, log } = options;
  const indexes = await layers.indexes();
  // Merging them may compute for a second; before that, a signal can end the process.
  await inContextAsync('reading layers', () => setImmediate(undefined, options));
  const flattened = inContext(`reading ${source.name}`, () => {
    const image = flattenLayers(indexes, isPruned);
    source.check?.(image.files);
    return image;
  });
  const base = options.base && keepBase(options.base, indexes, flattened);
  reportSpecialFiles(source.name, flattened, options);
  log.info(`${source.name}: ${flattened.files.size} entries in ${indexes.length} layers`);
  const paths = listsLayers ? layerPaths(indexes, flattened) : undefined;
  return { flattened, base, paths };
}

function reportSpecialFiles(
  name: string,
  { specialFiles }: FlattenedImage,
  { skipSpecialFiles = false, base, log }: SpooledImageOptions,
): void {
  const baseCount = base?.layers.length ?? 0;
  const aboveBase = [...specialFiles].filter(([, layer]) => layer >= baseCount);
  const [first] = aboveBase.map(([path]) => path);
  if (first === undefined) {
    return;
  }
  if (!skipSpecialFiles) {
    throw new OstrataError(
      'UNSUPPORTED',
      `reading ${name}: ${first} is a device or a pipe; --skip-special-files leaves it out`,
    );
  }
  log.warn(`${name}: ${aboveBase.length} devices or pipes are left out`);
}

function spooledFiles({ sources }: FlattenedImage): readonly SpooledFile[] {
  const files: SpooledFile[] = [];
  for (const { layer, entry } of sources.values()) {
    if (entry.type === 'file') {
      files.push({ layer, entry });
    }
  }
  return files;
}

/** Writes down where content lies, and returns the tree that finds it there. */
function spooledTree(
  name: string,
  image: FlattenedImage,
  layers: SpooledLayers,
  close: () => void,
): LocatedTree {
  const { files } = image;
  const spooled = spooledFiles(image);
  writeSpoolContent(layers.directory, spooled);
  const content = { kind: 'spool', path: layers.directory } as const;
  const layerOf = new Map(spooled.map(({ layer, entry }) => [entry.checksum, layer]));
  const fetch = async (checksums: Iterable<string>) => {
    const wanted = new Set<number>();
    for (const checksum of checksums) {
      const layer = layerOf.get(checksum);
      if (layer !== undefined) {
        wanted.add(layer);
      }
    }
    await layers.read([...wanted]);
  };

  const tree = { name, files, content, fetch, close };
  return { ...tree, ...readFunctions(tree) };
}

/** The layers of an image, of which some are in the spool. */
class SpooledLayers {
  readonly directory: string;
  readonly #source: LayerSource;
  readonly #options: SpooledImageOptions;
  /** Empty once all are known: the tree does not need them any more. */
  readonly #indexes = new Map<number, readonly IndexedEntry[]>();
  #isIndexed = false;
  readonly #spooled = new Set<number>();
  readonly #interner = new XattrsInterner();
  /** The reads that were asked for; they run one after the other. */
  #reads: Promise<void> = Promise.resolve();

  constructor(source: LayerSource, directory: string, options: SpooledImageOptions) {
    this.#source = source;
    this.directory = directory;
    this.#options = options;
  }

  /** Returns the entries of all layers; reads the layers whose index is not known. */
  async indexes(): Promise<readonly (readonly IndexedEntry[])[]> {
    const { layers } = this.#source;
    const { selection } = this.#options;
    if (selection === undefined) {
      await this.#readIndexes(layers);
    }
    for (const index of selection?.order ?? []) {
      await this.#readIndexes(layers.filter((layer) => layer.index === index));
      if (selection?.isEnough(this.#inOrder())) {
        break;
      }
    }
    const inOrder = this.#inOrder();
    this.#indexes.clear();
    this.#isIndexed = true;
    return inOrder;
  }

  #inOrder(): readonly (readonly IndexedEntry[])[] {
    return this.#source.layers.map(({ index }) => this.#indexes.get(index) ?? []);
  }

  async #readIndexes(layers: readonly SourceLayer[]): Promise<void> {
    for (const layer of layers) {
      // All indexes together can take a second.
      await inContextAsync('reading layers', () => setImmediate(undefined, this.#options));
      this.#loadIndex(layer);
    }
    const unknown = layers.filter(({ index }) => !this.#indexes.has(index));
    await this.read(unknown.map(({ index }) => index));
  }

  /** Puts layers into the spool, unless they are there. */
  async read(layers: readonly number[]): Promise<void> {
    const readMissing = () => this.#readMissing(layers);
    const reading = this.#reads.then(readMissing, readMissing);
    this.#reads = reading;
    await reading;
  }

  /** Removes the tars in which none of `files` lies. */
  removeUnused(files: readonly SpooledFile[]): void {
    const used = new Set(files.map(({ layer }) => layer));
    for (const layer of this.#spooled) {
      if (!used.has(layer)) {
        this.#spooled.delete(layer);
        rmSync(spooledTar(this.directory, layer));
      }
    }
  }

  async #readMissing(layers: readonly number[]): Promise<void> {
    const { jobs, indexes, log, signal } = this.#options;
    const missing = this.#source.layers.filter(
      ({ index }) => layers.includes(index) && !this.#spooled.has(index),
    );
    await spoolLayers(this.#source, missing, {
      directory: this.directory,
      jobs,
      log,
      signal,
      onIndex: ({ index, diffId }, bytes) => {
        this.#spooled.add(index);
        if (!this.#isIndexed) {
          this.#indexes.set(index, decodeLayerIndex(bytes, this.#interner));
          if (diffId !== undefined) {
            indexes?.save(diffId, bytes);
          }
        }
      },
    });
  }

  #loadIndex({ index, diffId }: SourceLayer): void {
    const { indexes, log } = this.#options;
    const bytes = diffId && indexes?.load(diffId);
    if (!bytes) {
      return;
    }
    try {
      this.#indexes.set(index, decodeLayerIndex(bytes, this.#interner));
    } catch (error) {
      log.warn(`the kept index of layer ${index} is not used: ${messageOf(error)}`);
    }
  }
}
