/**
 * Reads the tar of an ostree layer and recomputes the checksum of every object in it. Imports and
 * verification both use it. See write.ts and ../tree/ostree-tar.ts for the format. The rules are at
 * least as strict as those by which bootc's ostree-ext imports (`tar/import.rs`).
 */
import type { ContentSink } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { parseWhiteout } from '../oci/whiteout.js';
import { decodeDirmeta } from '../ostree/objects/dirmeta.js';
import type { FileHeader } from '../ostree/objects/file.js';
import {
  encodeObjectName,
  MAX_METADATA_SIZE,
  METADATA_KINDS,
  type MetadataKind,
  sha256Hex,
} from '../ostree/objects/object-name.js';
import type { TarHeader } from '../tar/entry.js';
import {
  checkChecksum,
  collectContent,
  contentHeader,
  hashContent,
  pathComponents,
  readLayerTar,
} from '../tree/layer-tar.js';
import {
  isXattrsObject,
  OBJECTS_PREFIX,
  ObjectXattrs,
  parseObjectPath,
  REPO_DIRECTORY,
} from '../tree/ostree-tar.js';

/** Files of the repository that are not objects; importers skip them. */
const SKIPPED = new RegExp(`^${REPO_DIRECTORY}/(config$|refs/)`);
/**
 * Limit for all metadata objects of one layer together, in bytes, since they are kept in memory.
 * Those of a commit of 1,000,000 files take some 60 MiB.
 */
const MAX_LAYER_METADATA_SIZE = 256 << 20;
/** The value of a directory in {@link LayerContents.paths}. */
export const DIRECTORY = 'directory';

/** The first layer begins with the commit; chunk layers hold no metadata objects. */
export type OstreeLayerKind = 'commit' | 'chunk';

/** What a layer holds. Content objects are verified and not kept, metadata objects are kept. */
export interface LayerContents {
  /** Metadata objects by `CHECKSUM.kind`, in the order of the layer. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  /** Checksums of the content objects. */
  readonly files: ReadonlySet<string>;
  /**
   * What is at each path of the image, without a leading slash: {@link DIRECTORY}, or the checksum
   * of a content object that the path is a hard link to. For a path that is a copy instead of a
   * link, the checksum is computed with the xattrs of the object before it, since entries of paths
   * do not hold all their xattrs.
   */
  readonly paths: ReadonlyMap<string, string>;
}

/** Takes content objects while a layer is read. */
export interface ObjectSink {
  /**
   * Called when an object begins. Returns what takes its content, whose `finish` is called once the
   * object has its checksum; undefined if nobody wants the content.
   */
  file(checksum: string, header: FileHeader): ContentSink | undefined;
}

/**
 * Reads a layer to its end. Throws `CORRUPT` or `LIMIT`, naming the entry and the rule that it
 * breaks.
 */
export async function readOstreeLayer(
  tar: LayerTar,
  kind: OstreeLayerKind,
  sink?: ObjectSink,
): Promise<LayerContents> {
  const layer = new LayerReader(kind, sink);
  await readLayerTar(tar, (header) => layer.entry(header));
  return layer.finish();
}

class LayerReader {
  readonly #kind: OstreeLayerKind;
  readonly #sink: ObjectSink | undefined;
  readonly #metadata = new Map<string, Uint8Array>();
  #metadataSize = 0;
  readonly #files = new Set<string>();
  readonly #paths = new Map<string, string>();
  readonly #xattrs = new ObjectXattrs();
  /**
   * Xattrs of the last content object. They are needed for paths that are copies, which follow
   * their object.
   */
  #lastXattrs: Uint8Array = new Uint8Array();

  constructor(kind: OstreeLayerKind, sink: ObjectSink | undefined) {
    this.#kind = kind;
    this.#sink = sink;
  }

  entry(header: TarHeader): ContentSink | undefined {
    const name = header.name.replace(/\/$/, '');
    const isObject = name.startsWith(OBJECTS_PREFIX) && header.type !== 'directory';

    const { nextObject } = this.#xattrs;
    if (nextObject !== undefined && !(isObject && name.endsWith('.file'))) {
      throw corrupt(`comes between the xattrs and the content of object ${nextObject}`);
    }
    return isObject ? this.#object(name, header) : this.#path(name, header);
  }

  finish(): LayerContents {
    const { nextObject } = this.#xattrs;
    if (nextObject !== undefined) {
      throw corrupt(`object ${nextObject} has xattrs and no content`);
    }
    if (this.#kind === 'commit' && this.#metadata.size === 0) {
      throw corrupt('the layer holds no commit');
    }
    return { metadata: this.#metadata, files: this.#files, paths: this.#paths };
  }

  #object(name: string, header: TarHeader): ContentSink | undefined {
    const object = parseObjectPath(name);
    if (object === undefined) {
      throw corrupt('is not the path of an object');
    }
    const { checksum, kind } = object;

    const isFirst = this.#metadata.size === 0 && this.#files.size === 0;
    if (this.#kind === 'commit' && isFirst !== (kind === 'commit')) {
      throw corrupt(isFirst ? 'the first object is no commit' : 'is a second commit');
    }
    if (kind === 'file') {
      return this.#contentObject(checksum, header);
    }
    if (isXattrsObject(object)) {
      return this.#xattrs.read(header, object);
    }
    return this.#metadataObject(checksum, kind, header);
  }

  #metadataObject(checksum: string, extension: string, header: TarHeader): ContentSink {
    const kind = METADATA_KINDS.find((each) => each === extension);
    if (kind === undefined) {
      throw corrupt(`unknown kind of object: ${extension}`);
    }
    if (this.#kind === 'chunk') {
      throw corrupt('is a metadata object in a chunk layer');
    }
    return collectContent(header, MAX_METADATA_SIZE, (bytes) =>
      this.#addMetadata(checksum, kind, bytes),
    );
  }

  #addMetadata(checksum: string, kind: MetadataKind, bytes: Uint8Array): void {
    const name = encodeObjectName(checksum, kind);
    if (this.#metadata.has(name)) {
      throw corrupt('occurs twice');
    }
    this.#metadataSize += bytes.length;
    if (this.#metadataSize > MAX_LAYER_METADATA_SIZE) {
      throw new OstrataError(
        'LIMIT',
        `metadata objects of more than ${MAX_LAYER_METADATA_SIZE} bytes`,
      );
    }

    if (kind !== 'commitmeta') {
      checkChecksum(checksum, sha256Hex(bytes));
    } else if (
      this.#metadata.size !== 1 ||
      !this.#metadata.has(encodeObjectName(checksum, 'commit'))
    ) {
      throw corrupt('does not come directly after its commit');
    }
    if (kind === 'dirmeta') {
      // Walks of a tree decode commits and dirtrees, but not all of them decode dirmetas.
      decodeDirmeta(bytes);
    }
    this.#metadata.set(name, bytes);
  }

  #contentObject(checksum: string, header: TarHeader): ContentSink {
    const xattrs = this.#xattrs.take(checksum);
    if (xattrs === undefined) {
      throw corrupt('no xattrs precede it');
    }
    if (this.#files.has(checksum)) {
      throw corrupt('occurs twice');
    }
    if (header.type !== 'file' && header.type !== 'symlink') {
      throw corrupt(`is a ${header.type}`);
    }
    this.#files.add(checksum);
    this.#lastXattrs = xattrs;

    const file = contentHeader(header, xattrs);
    const sink = this.#sink?.file(checksum, file);
    return hashContent(file, sink, (computed) => {
      checkChecksum(checksum, computed);
      sink?.finish();
    });
  }

  #path(name: string, header: TarHeader): ContentSink | undefined {
    if (name.startsWith('/')) {
      throw corrupt('leaves the image');
    }
    // Both throw for what no program could unpack.
    const components = pathComponents(name);
    parseWhiteout(components.at(-1) ?? '');
    // Programs that unpack `./usr/bin` and `usr//bin` write both to the same place.
    const path = components.join('/');
    if (header.type === 'directory') {
      this.#paths.set(path, DIRECTORY);
      return undefined;
    }
    if (SKIPPED.test(path)) {
      return undefined;
    }
    if (this.#paths.has(path)) {
      throw corrupt('occurs twice');
    }

    if (header.type === 'file' || header.type === 'symlink') {
      return hashContent(contentHeader(header, this.#lastXattrs), undefined, (checksum) =>
        this.#paths.set(path, checksum),
      );
    }
    if (header.type !== 'link') {
      throw corrupt(`is a ${header.type}`);
    }
    this.#paths.set(path, this.#linked(header.linkname));
    return undefined;
  }

  /**
   * Returns the object that a hard link names, either directly or by an earlier path that is a copy
   * of it.
   */
  #linked(linkname: string): string {
    if (!linkname.startsWith(OBJECTS_PREFIX)) {
      const target = this.#paths.get(linkname);
      if (target === undefined || target === DIRECTORY) {
        throw corrupt(`is a link to ${linkname}, which is no object`);
      }
      return target;
    }
    const object = parseObjectPath(linkname);
    if (object?.kind !== 'file' || !this.#files.has(object.checksum)) {
      throw corrupt(`is a link to ${linkname}, which does not precede it`);
    }
    return object.checksum;
  }
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
