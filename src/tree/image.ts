/** The tree of a container image: its layers applied in order. Works for encapsulated commits and for any other image. */
import type { Hash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import type { ByteStream } from '../bytes/stream.js';
import { inContext, inContextAsync, OstrataError, wrapError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import { layerDecompressor } from '../oci/decompress.js';
import type { ImageReader } from '../oci/image.js';
import type { Descriptor } from '../oci/types.js';
import { validateBlob } from '../oci/validate.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../ostree/objects/dirmeta.js';
import { startFileChecksum } from '../ostree/objects/file.js';
import { encodeXattrs, MAX_XATTRS_SIZE, XattrsInterner } from '../ostree/objects/xattr-list.js';
import { type TarHeader, TarReader, type TarVisitor } from '../tar/reader.js';
import { FileMap } from './file-map.js';
import { LayeredTree, type Source } from './layered.js';
import { regularFile, wholeFile } from './lookup.js';
import { REPO_DIRECTORY } from './ostree-tar.js';
import type { RegularFile, Tree, TreePath } from './tree.js';

/** Encapsulated images keep each file here once more, under its checksum, and what else an ostree repository holds. */
/** `HH/REST.KIND` of a content object or of its extended attributes. */
const OBJECT = new RegExp(
  `^(?:\\./)?${REPO_DIRECTORY}/objects/([0-9a-f]{2})/([0-9a-f]{62})\\.(file|file-xattrs-link|file-xattrs)$`,
);
/** Distinct sets of xattrs that objects are linked to, together: a system has a few hundred of some 50 bytes. */
const MAX_SHARED_XATTRS = 64 << 20;

type ReadableImage = Pick<ImageReader, 'name' | 'manifest' | 'blob'>;

/**
 * Reads every layer once, checks its digest and keeps no content: reading a file later decompresses its layer again up to
 * there. Objects of an encapsulated image are verified by their names; the repository that holds them is no part of the
 * tree. Devices, pipes and sockets are left out with one warning.
 */
export async function openImageTree(
  image: ReadableImage,
  log: Logger = silentLogger,
): Promise<Tree> {
  const { layers } = image.manifest;
  const tree = new LayeredTree();
  const interner = new XattrsInterner();
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  let skipped = 0;
  for (const [i, descriptor] of layers.entries()) {
    const scan = new LayerScan(tree, i, interner);
    const reader = new TarReader(scan);
    await inContextAsync(`reading ${image.name}: layer ${i} (${descriptor.digest})`, () =>
      validateBlob(
        counted(image.blob(descriptor), (length) =>
          log.progress('reading layers', done + length, total),
        ),
        descriptor,
        async (tar) => {
          for await (const bytes of tar) {
            reader.push(bytes);
          }
          reader.end();
        },
      ),
    );
    done += descriptor.size;
    skipped += scan.skipped;
  }
  tree.remove(REPO_DIRECTORY);
  if (skipped > 0) {
    log.warn(`${image.name}: ${skipped} devices or pipes are left out`);
  }

  const sources = new Map<TreePath, Source>();
  const files = new FileMap(
    (function* () {
      for (const { entry, source } of tree.entries()) {
        if (source !== undefined) {
          sources.set(entry.path, source);
        }
        yield entry;
      }
    })(),
  );
  log.info(`${image.name}: ${files.size} entries in ${layers.length} layers`);
  const read = (file: RegularFile): ByteStream => {
    const { layer, entry } = sources.get(file.path) as Source;
    return contentOf(image, layer, entry, file);
  };
  return {
    name: image.name,
    files,
    read: (path) => read(regularFile(path, files.get(path), image.name)),
    bytes: (path) => wholeFile(path, files.resolve(path, true), image.name, read),
  };
}

/** Puts the entries of one layer into the tree while its tar passes. */
class LayerScan implements TarVisitor {
  /** Devices, pipes and sockets. */
  skipped = 0;
  readonly #tree: LayeredTree;
  readonly #layer: number;
  readonly #interner: XattrsInterner;
  #entry = -1;
  #finish: (() => void) | undefined;
  #hash: Hash | undefined;
  /** Content that is kept: the xattrs of an object. */
  #kept: Uint8Array[] | undefined;
  /** Of the object that comes next. */
  #objectXattrs: { readonly checksum: string; readonly bytes: Uint8Array } | undefined;
  readonly #shared = new Map<string, Uint8Array>();
  #sharedSize = 0;

  constructor(tree: LayeredTree, layer: number, interner: XattrsInterner) {
    this.#tree = tree;
    this.#layer = layer;
    this.#interner = interner;
  }

  entry(header: TarHeader): void {
    this.#entry++;
    const [, start, rest, kind] = OBJECT.exec(header.name) ?? [];
    const checksum = `${start}${rest}`;
    if (kind === 'file-xattrs' || kind === 'file-xattrs-link') {
      this.#xattrs(header, checksum, kind);
      return;
    }
    const { name, mode, uid, gid } = header;
    switch (header.type) {
      case 'directory':
        this.#tree.addDirectory(this.#layer, name, {
          mode: mode | S_IFDIR,
          uid,
          gid,
          xattrs: this.#interner.intern(encodeXattrs(header.xattrs)).xattrs,
        });
        return;
      case 'link':
        this.#tree.addLink(this.#layer, name, header.linkname);
        return;
      case 'file':
      case 'symlink':
        this.#leaf(header, header.type, kind === 'file' ? checksum : undefined);
        return;
      default:
        this.skipped++;
    }
  }

  content(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#kept?.push(bytes.slice());
  }

  entryEnd(): void {
    this.#finish?.();
    this.#finish = undefined;
    this.#hash = undefined;
    this.#kept = undefined;
  }

  /** @param object the checksum that the name of an object states */
  #leaf(
    { name, mode, uid, gid, size, linkname, xattrs }: TarHeader,
    type: 'file' | 'symlink',
    object?: string,
  ): void {
    const own =
      object !== undefined && this.#objectXattrs?.checksum === object
        ? this.#objectXattrs.bytes
        : undefined;
    this.#objectXattrs = undefined;
    const interned = this.#interner.intern(own ?? encodeXattrs(xattrs));
    const attributes = {
      mode: mode | (type === 'file' ? S_IFREG : S_IFLNK),
      uid,
      gid,
      size,
      xattrs: interned.xattrs,
      ...(type === 'symlink' && { target: linkname }),
    };
    const hash = startFileChecksum({ ...attributes, xattrsBytes: interned.bytes });
    const source = { layer: this.#layer, entry: this.#entry };
    this.#hash = hash;
    this.#finish = () => {
      const checksum = hash.digest('hex');
      if (object !== undefined && checksum !== object) {
        throw new OstrataError('CORRUPT', `has the checksum ${checksum}`);
      }
      this.#tree.addLeaf(this.#layer, name, { ...attributes, checksum, source });
    };
  }

  #xattrs(
    { type, size, linkname }: TarHeader,
    checksum: string,
    kind: 'file-xattrs' | 'file-xattrs-link',
  ): void {
    if (size > MAX_XATTRS_SIZE) {
      throw new OstrataError('LIMIT', `${size} bytes, at most ${MAX_XATTRS_SIZE}`);
    }
    if (type === 'link') {
      const [, start, rest] = OBJECT.exec(linkname) ?? [];
      const bytes = this.#shared.get(`${start}${rest}`);
      if (bytes === undefined) {
        throw new OstrataError('CORRUPT', `is a link to ${linkname}, which does not precede it`);
      }
      this.#objectXattrs = { checksum, bytes };
      return;
    }
    const kept: Uint8Array[] = [];
    this.#kept = kept;
    this.#finish = () => {
      const bytes = Buffer.concat(kept);
      if (kind === 'file-xattrs-link') {
        this.#objectXattrs = { checksum, bytes };
      } else {
        this.#sharedSize += bytes.length;
        if (this.#sharedSize > MAX_SHARED_XATTRS) {
          throw new OstrataError('LIMIT', `more than ${MAX_SHARED_XATTRS} bytes of shared xattrs`);
        }
        this.#shared.set(checksum, bytes);
      }
    };
  }
}

/** The content of one entry of a layer, which must still be what it was. */
async function* contentOf(
  image: ReadableImage,
  layer: number,
  wanted: number,
  file: RegularFile,
): AsyncGenerator<Uint8Array> {
  const descriptor = image.manifest.layers[layer] as Descriptor;
  let entry = -1;
  let ready: Uint8Array[] = [];
  const reader = new TarReader({
    entry: () => entry++,
    content: (bytes) => {
      if (entry === wanted) {
        ready.push(bytes.slice());
      }
    },
    entryEnd() {},
  });
  const hash = startFileChecksum({ ...file, xattrsBytes: encodeXattrs(file.xattrs) });
  for await (const bytes of layerTar(image, descriptor)) {
    inContext(`reading ${image.name}: layer ${layer}`, () => reader.push(bytes));
    for (const chunk of ready) {
      hash.update(chunk);
      yield chunk;
    }
    ready = [];
    if (entry > wanted) {
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

/** The tar of a layer, which was checked when the tree was opened. */
async function* layerTar(image: ReadableImage, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  async function* copied(): AsyncGenerator<Uint8Array> {
    for await (const bytes of image.blob(descriptor)) {
      yield Buffer.from(bytes); // the stream keeps what it is given
    }
  }
  const source = Readable.from(copied(), { objectMode: false });
  const [decompressor] = layerDecompressor(descriptor.mediaType);
  const tar = decompressor === undefined ? source : pipeline(source, decompressor, () => {});
  try {
    for await (const bytes of tar) {
      yield bytes as Uint8Array;
    }
  } catch (error) {
    throw wrapError(`reading ${image.name}: layer ${descriptor.digest}`, error);
  }
}

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
