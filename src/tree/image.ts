/**
 * The tree of a container image: its layers, applied in order. It may be an encapsulated commit or
 * any other image.
 */
import { pipeline, Readable } from 'node:stream';
import type { ByteStream, ContentSink } from '../bytes/stream.js';
import { inContext, inContextAsync, must, OstrataError, wrapError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import { layerDecompressor } from '../oci/decompress.js';
import type { ImageReader } from '../oci/image.js';
import type { Descriptor } from '../oci/types.js';
import { validateBlob } from '../oci/validate.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs, XattrsInterner } from '../ostree/objects/xattr-list.js';
import type { TarHeader } from '../tar/entry.js';
import { TarReader } from '../tar/reader.js';
import { FileMap } from './file-map.js';
import { checkChecksum, contentHeader, hashContent, readLayerTar } from './layer-tar.js';
import { LayeredTree, type Source } from './layered.js';
import { type ReadableTree, regularFile, type StartFile, wholeFile } from './lookup.js';
import { isXattrsObject, ObjectXattrs, parseObjectPath, REPO_DIRECTORY } from './ostree-tar.js';
import type { RegularFile, Tree, TreePath } from './tree.js';

type ReadableImage = Pick<ImageReader, 'name' | 'manifest' | 'blob'>;

/**
 * Opens the tree of an image. Every layer is read once, its digest is checked and no content is
 * kept: to read a file later, its layer is decompressed again up to that file. The objects of an
 * encapsulated image are verified by their checksums; the repository that holds them is not part of
 * the tree. Devices, pipes and sockets are left out with one warning.
 */
export async function openImageTree(
  image: ReadableImage,
  log: Logger = silentLogger,
): Promise<Tree & ReadableTree> {
  const layered = new LayeredTree();
  const skipped = await applyLayers(image, layered, log);
  layered.remove(REPO_DIRECTORY);
  if (skipped > 0) {
    log.warn(`${image.name}: ${skipped} devices or pipes are left out`);
  }

  const { files, sources } = collectEntries(layered);
  log.info(`${image.name}: ${files.size} entries in ${image.manifest.layers.length} layers`);

  const sourceOf = ({ path }: RegularFile) => must(sources.get(path), `the source of ${path}`);
  const read = (file: RegularFile) => readContent(image, sourceOf(file), file);
  return {
    name: image.name,
    files,
    read: (path) => read(regularFile(path, files.get(path), image.name)),
    bytes: (path) => wholeFile(path, files.resolve(path, true), image.name, read),
    readFiles: async (wanted, start) => {
      for (const [layer, inLayer] of groupBy(wanted, (file) => sourceOf(file).layer)) {
        const byEntry = groupBy(inLayer, (file) => sourceOf(file).entry);
        await readLayerFiles(image, layer, byEntry, start);
      }
    },
  };
}

function joinSinks(sinks: readonly ContentSink[]): ContentSink {
  return {
    write(bytes) {
      for (const sink of sinks) {
        sink.write(bytes);
      }
    },
    finish() {
      for (const sink of sinks) {
        sink.finish();
      }
    },
  };
}

function groupBy<T>(
  items: readonly T[],
  keyOf: (item: T) => number,
): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item)) ?? [];
    group.push(item);
    groups.set(keyOf(item), group);
  }
  return groups;
}

/**
 * Reads files of one layer. Hard links to one file are several files of one entry.
 * @param files by the number of the entry in the tar
 */
async function readLayerFiles(
  image: ReadableImage,
  layer: number,
  files: ReadonlyMap<number, readonly RegularFile[]>,
  start: StartFile,
): Promise<void> {
  const descriptor = must(image.manifest.layers[layer], `layer ${layer}`);
  let entry = -1;
  const sinkOfNext = (): ContentSink | undefined => {
    entry++;
    const wanted = files.get(entry);
    return wanted && joinSinks(wanted.map(start));
  };
  await inContextAsync(`reading ${image.name}: layer ${layer} (${descriptor.digest})`, () =>
    validateBlob(image.blob(descriptor), descriptor, (tar) => readLayerTar(tar, sinkOfNext)),
  );
}

/** Reads all layers into `layered`. Returns how many devices, pipes and sockets were left out. */
async function applyLayers(
  image: ReadableImage,
  layered: LayeredTree,
  log: Logger,
): Promise<number> {
  const { layers } = image.manifest;
  const interner = new XattrsInterner();
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  let skipped = 0;

  for (const [i, descriptor] of layers.entries()) {
    const scan = new LayerScan(layered, i, interner);
    const blob = counted(image.blob(descriptor), (length) =>
      log.progress('reading layers', done + length, total),
    );
    await inContextAsync(`reading ${image.name}: layer ${i} (${descriptor.digest})`, () =>
      validateBlob(blob, descriptor, (tar) => readLayerTar(tar, (header) => scan.entry(header))),
    );
    done += descriptor.size;
    skipped += scan.skipped;
  }
  return skipped;
}

/** Returns all entries of a tree, and where in the layers the content of each file is. */
function collectEntries(layered: LayeredTree): {
  readonly files: FileMap;
  readonly sources: ReadonlyMap<TreePath, Source>;
} {
  const sources = new Map<TreePath, Source>();
  function* entries() {
    for (const { entry, source } of layered.entries()) {
      if (source !== undefined) {
        sources.set(entry.path, source);
      }
      yield entry;
    }
  }
  return { files: new FileMap(entries()), sources };
}

/** Puts the entries of one layer into the tree as they are read. */
class LayerScan {
  /** Number of devices, pipes and sockets. */
  skipped = 0;
  readonly #tree: LayeredTree;
  readonly #layer: number;
  readonly #interner: XattrsInterner;
  readonly #objectXattrs = new ObjectXattrs();
  #entry = -1;

  constructor(tree: LayeredTree, layer: number, interner: XattrsInterner) {
    this.#tree = tree;
    this.#layer = layer;
    this.#interner = interner;
  }

  entry(header: TarHeader): ContentSink | undefined {
    this.#entry++;
    const object = parseObjectPath(header.name.replace(/^\.\//, ''));
    if (object !== undefined && isXattrsObject(object)) {
      return this.#objectXattrs.read(header, object);
    }

    switch (header.type) {
      case 'file':
      case 'symlink':
        return this.#leaf(header, object?.kind === 'file' ? object.checksum : undefined);
      case 'directory':
        this.#directory(header);
        return undefined;
      case 'link':
        this.#tree.addLink(this.#layer, header.name, header.linkname);
        return undefined;
      default:
        this.skipped++;
        return undefined;
    }
  }

  #directory({ name, mode, uid, gid, xattrs }: TarHeader): void {
    this.#tree.addDirectory(this.#layer, name, {
      mode: mode | S_IFDIR,
      uid,
      gid,
      xattrs: this.#interner.intern(encodeXattrs(xattrs)).xattrs,
    });
  }

  /** @param object the checksum of a content object, undefined for all other files and symlinks */
  #leaf(header: TarHeader, object: string | undefined): ContentSink {
    const ofObject = object === undefined ? undefined : this.#objectXattrs.take(object);
    const { xattrs, bytes } = this.#interner.intern(ofObject ?? encodeXattrs(header.xattrs));
    const file = contentHeader(header, bytes);
    const source = { layer: this.#layer, entry: this.#entry };

    return hashContent(file, undefined, (checksum) => {
      if (object !== undefined) {
        checkChecksum(object, checksum);
      }
      const { mode, uid, gid, size, target } = file;
      const leaf = { mode, uid, gid, size, xattrs, target, checksum, source };
      this.#tree.addLeaf(this.#layer, header.name, leaf);
    });
  }
}

/** Reads a file again from its layer. Throws `CORRUPT` if it no longer has its checksum. */
async function* readContent(
  image: ReadableImage,
  source: Source,
  file: RegularFile,
): AsyncGenerator<Uint8Array> {
  const descriptor = must(image.manifest.layers[source.layer], `layer ${source.layer}`);
  let entry = -1;
  let ready: Uint8Array[] = [];
  const reader = new TarReader({
    entry: () => entry++,
    content: (bytes) => {
      if (entry === source.entry) {
        ready.push(bytes.slice());
      }
    },
    entryEnd() {},
  });

  const hash = startFileChecksum({ ...file, xattrsBytes: encodeXattrs(file.xattrs) });
  for await (const bytes of layerTar(image, descriptor)) {
    inContext(`reading ${image.name}: layer ${source.layer}`, () => reader.push(bytes));
    for (const chunk of ready) {
      hash.update(chunk);
      yield chunk;
    }
    ready = [];
    if (entry > source.entry) {
      break;
    }
  }

  const computed = hash.digest('hex');
  if (computed !== file.checksum) {
    throw new OstrataError(
      'CORRUPT',
      `reading ${image.name}: ${file.path} changed: its checksum is ${computed}`,
    );
  }
}

/** The tar of a layer whose digest was checked when the tree was opened. */
async function* layerTar(image: ReadableImage, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  // A chunk of a ByteStream is valid until the next one is asked for, but a Readable keeps several.
  async function* copied(): AsyncGenerator<Uint8Array> {
    for await (const bytes of image.blob(descriptor)) {
      yield Buffer.from(bytes);
    }
  }
  const source = Readable.from(copied(), { objectMode: false });
  const tar = layerDecompressor(descriptor.mediaType).reduce<Readable>(
    (stream, decompressor) => pipeline(stream, decompressor, () => {}),
    source,
  );
  try {
    yield* tar;
  } catch (error) {
    throw wrapError(`reading ${image.name}: layer ${descriptor.digest}`, error);
  }
}

/** Passes a stream on and reports how many bytes of it have passed. */
async function* counted(
  stream: ByteStream,
  onLength: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const bytes of stream) {
    length += bytes.length;
    onLength(length);
    yield bytes;
  }
}
