/**
 * What one layer of an image holds: everything of its tar except the content of the files, and
 * where in the tar that content lies. It is made once, by reading the whole layer, and is then as
 * good as the layer for everything that is decided before content is copied.
 */
import { createHash } from 'node:crypto';
import type { ContentSink } from '../bytes/stream.js';
import type { Xattrs } from '../bytes/xattrs.js';
import type { LayerTar } from '../oci/layer-tar.js';
import { S_IFDIR } from '../ostree/objects/dirmeta.js';
import { encodeXattrs, XattrsInterner } from '../ostree/objects/xattr-list.js';
import type { TarHeader } from '../tar/entry.js';
import type { Extent } from '../tar/sparse.js';
import {
  checkChecksum,
  contentHeader,
  hashContent,
  type LayerTarOptions,
  readLayerTar,
} from './layer-tar.js';
import { isXattrsObject, ObjectXattrs, parseObjectPath } from './ostree-tar.js';

interface Attributes {
  /** As it is in the tar. */
  readonly name: string;
  /** `st_mode` with its type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly xattrs: Xattrs;
}

export interface IndexedDirectory extends Attributes {
  readonly type: 'directory';
}

/** A regular file, which may also be a whiteout. */
export interface IndexedFile extends Attributes {
  readonly type: 'file';
  readonly size: number;
  /** Checksum of the ostree content object. */
  readonly checksum: string;
  /** SHA-256 of the content. */
  readonly contentDigest: string;
  /** Where the content begins in the tar, in bytes. No two entries of a layer have the same. */
  readonly offset: number;
  /** The parts of a sparse file that lie at `offset` one after the other; undefined otherwise. */
  readonly extents?: readonly Extent[] | undefined;
}

export interface IndexedSymlink extends Attributes {
  readonly type: 'symlink';
  readonly target: string;
  /** Checksum of the ostree content object. */
  readonly checksum: string;
  /** Where the next header begins in the tar. */
  readonly offset: number;
}

/** A hard link to a file before it, in this layer or a lower one. */
export interface IndexedLink {
  readonly type: 'link';
  readonly name: string;
  /** The name of the file. */
  readonly target: string;
}

/** A device or a pipe. */
export interface IndexedSpecial {
  readonly type: 'special';
  readonly name: string;
}

export type IndexedContent = IndexedFile | IndexedSymlink;
export type IndexedEntry = IndexedDirectory | IndexedContent | IndexedLink | IndexedSpecial;

export interface LayerIndexOptions extends Pick<LayerTarOptions, 'onBytes'> {
  /**
   * Whether the tar is a whole root file system and no layer: ostree objects in it are files as
   * all others, and nothing but its last blocks shows that it is complete.
   */
  readonly isRootFileSystem?: boolean | undefined;
}

/**
 * Reads the tar of a layer to its end and returns its entries, in the order of the tar. In an
 * encapsulated image, content objects have the xattrs of their objects, and their checksums are
 * verified. Throws `CORRUPT`, `UNSUPPORTED` or `LIMIT`, naming the entry.
 */
export async function indexLayer(
  tar: LayerTar,
  { onBytes, isRootFileSystem = false }: LayerIndexOptions = {},
): Promise<readonly IndexedEntry[]> {
  const layer = new LayerIndexer(!isRootFileSystem);
  await readLayerTar(tar, (header, offset) => layer.entry(header, offset), {
    onBytes,
    needsEndMarker: isRootFileSystem,
  });
  return layer.entries;
}

class LayerIndexer {
  readonly entries: IndexedEntry[] = [];
  readonly #interner = new XattrsInterner();
  readonly #objectXattrs = new ObjectXattrs();
  readonly #hasObjects: boolean;

  constructor(hasObjects: boolean) {
    this.#hasObjects = hasObjects;
  }

  entry(header: TarHeader, offset: number): ContentSink | undefined {
    const { name, type, linkname } = header;
    const object = this.#hasObjects ? parseObjectPath(name.replace(/^\.\//, '')) : undefined;
    if (object !== undefined && isXattrsObject(object)) {
      return this.#objectXattrs.read(header, object);
    }

    switch (type) {
      case 'file':
      case 'symlink':
        return this.#content(header, offset, object?.kind === 'file' ? object.checksum : undefined);
      case 'directory':
        this.#directory(header);
        return undefined;
      case 'link':
        this.entries.push({ type, name, target: linkname });
        return undefined;
      default:
        this.entries.push({ type: 'special', name });
        return undefined;
    }
  }

  #directory({ name, mode, uid, gid, mtime, xattrs }: TarHeader): void {
    const interned = this.#interner.intern(encodeXattrs(xattrs));
    this.entries.push({
      type: 'directory',
      name,
      mode: mode | S_IFDIR,
      uid,
      gid,
      mtime,
      xattrs: interned.xattrs,
    });
  }

  /** @param object the checksum of a content object, undefined for all other files and symlinks */
  #content(header: TarHeader, offset: number, object: string | undefined): ContentSink {
    const ofObject = object === undefined ? undefined : this.#objectXattrs.take(object);
    const { xattrs, bytes } = this.#interner.intern(ofObject ?? encodeXattrs(header.xattrs));
    const file = contentHeader(header, bytes);
    const { mode, uid, gid, size, target } = file;
    const { name, mtime, extents } = header;
    const contentHash = createHash('sha256');

    return hashContent(file, { write: (chunk) => contentHash.update(chunk) }, (checksum) => {
      if (object !== undefined) {
        checkChecksum(object, checksum);
      }
      const attributes = {
        name,
        mode,
        uid,
        gid,
        mtime,
        xattrs,
        checksum,
        offset,
      };
      if (target !== undefined) {
        this.entries.push({ type: 'symlink', ...attributes, target });
        return;
      }
      const contentDigest = contentHash.digest('hex');
      this.entries.push({ type: 'file', ...attributes, size, contentDigest, extents });
    });
  }
}
