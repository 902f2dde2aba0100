/**
 * The tree of a container image: its layers, applied in order. It may be an encapsulated commit or
 * any other image.
 */
import { pipeline, Readable } from 'node:stream';
import type { ByteStream, ContentSink } from '../bytes/stream.js';
import { inContext, inContextAsync, must, OstrataError, wrapError } from '../errors.js';
import { type Logger, silentLogger, startWork } from '../log.js';
import { layerDecompressor } from '../oci/decompress.js';
import type { ImageReader } from '../oci/image.js';
import type { Descriptor } from '../oci/types.js';
import { validateBlob } from '../oci/validate.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs } from '../ostree/objects/xattr-list.js';
import type { TarHeader } from '../tar/entry.js';
import { TarReader } from '../tar/reader.js';
import { flattenLayers, type Source } from './flatten.js';
import { type IndexedEntry, indexLayer } from './layer-index.js';
import { readLayerTar } from './layer-tar.js';
import { type ReadableTree, regularFile, type StartFile, wholeFile } from './lookup.js';
import type { RegularFile, Tree } from './tree.js';

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
  const layers = await indexLayers(image, log);
  const { files, sources, specialFiles } = inContext(`reading ${image.name}`, () =>
    flattenLayers(layers),
  );
  if (specialFiles.size > 0) {
    log.warn(`${image.name}: ${specialFiles.size} devices or pipes are left out`);
  }
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
        const byOffset = groupBy(inLayer, (file) => sourceOf(file).entry.offset);
        await readLayerFiles(image, layer, byOffset, start);
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
 * @param files by the offset of their content in the tar
 */
async function readLayerFiles(
  image: ReadableImage,
  layer: number,
  files: ReadonlyMap<number, readonly RegularFile[]>,
  start: StartFile,
): Promise<void> {
  const descriptor = must(image.manifest.layers[layer], `layer ${layer}`);
  const sinkOf = (header: TarHeader, offset: number): ContentSink | undefined => {
    const wanted = header.type === 'file' ? files.get(offset) : undefined;
    return wanted && joinSinks(wanted.map(start));
  };
  await inContextAsync(`reading ${image.name}: layer ${layer} (${descriptor.digest})`, () =>
    validateBlob(image.blob(descriptor), descriptor, (tar) => readLayerTar(tar, sinkOf)),
  );
}

/** Reads all layers. */
async function indexLayers(
  image: ReadableImage,
  log: Logger,
): Promise<readonly (readonly IndexedEntry[])[]> {
  const { layers } = image.manifest;
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  const indexes: (readonly IndexedEntry[])[] = [];
  const work = startWork(log, 'reading layers', total);

  for (const [i, descriptor] of layers.entries()) {
    const part = work.startPart(`${i}`, `layer ${i}`, descriptor.size);
    const blob = counted(image.blob(descriptor), (length) => part.moveTo(length));
    await inContextAsync(`reading ${image.name}: layer ${i} (${descriptor.digest})`, async () => {
      const { visited } = await validateBlob(blob, descriptor, (tar) => indexLayer(tar));
      indexes.push(visited);
    });
    part.end();
  }
  work.end();
  return indexes;
}

/** Reads a file again from its layer. Throws `CORRUPT` if it no longer has its checksum. */
async function* readContent(
  image: ReadableImage,
  source: Source,
  file: RegularFile,
): AsyncGenerator<Uint8Array> {
  const descriptor = must(image.manifest.layers[source.layer], `layer ${source.layer}`);
  const { offset } = source.entry;
  let ready: Uint8Array[] = [];
  const reader = new TarReader({
    entry() {},
    content: (bytes) => {
      if (reader.contentOffset === offset) {
        ready.push(bytes.slice());
      }
    },
    entryEnd() {},
  });

  const hash = startFileChecksum({ ...file, xattrsBytes: encodeXattrs(file.xattrs) });
  for await (const bytes of layerTar(image, descriptor)) {
    const steps = reader.steps(bytes);
    let isDone = false;
    while (!isDone) {
      const context = `reading ${image.name}: layer ${source.layer}`;
      isDone = inContext(context, () => steps.next().done === true);
      for (const chunk of ready) {
        hash.update(chunk);
        yield chunk;
      }
      ready = [];
    }
    if (reader.contentOffset > offset) {
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
