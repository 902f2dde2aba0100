/**
 * Reads the tar of an ostree layer and recomputes the checksum of every object in it: the rules by which clients import
 * (bootc's ostree-ext, `tar/import.rs`), and some more. See ostree.ts for the form. Verifying and importing read with this.
 */
import type { Hash } from 'node:crypto';
import { OstrataError } from '../errors.js';
import { S_IFLNK, S_IFREG } from '../ostree/objects/dirmeta.js';
import { type FileHeader, startFileChecksum } from '../ostree/objects/file.js';
import {
  encodeObjectName,
  isChecksum,
  MAX_METADATA_SIZE,
  METADATA_KINDS,
  type MetadataKind,
  sha256Hex,
} from '../ostree/objects/object-name.js';
import { MAX_XATTRS_SIZE } from '../ostree/objects/xattr-list.js';
import { type TarHeader, TarReader, type TarVisitor } from '../tar/reader.js';
import { REPO_DIRECTORY } from '../tree/ostree-tar.js';

const OBJECTS = `${REPO_DIRECTORY}/objects/`;
/** Files of a repository that are no objects, and that importers skip. */
const SKIPPED = new RegExp(`^${REPO_DIRECTORY}/(config$|refs/)`);
/** Distinct sets of xattrs that are kept to be linked to, together: a system has a few hundred of some 50 bytes. */
const MAX_SHARED_XATTRS_SIZE = 64 << 20;

/** Metadata objects of one layer together, which are kept: those of a commit of 1,000,000 files are some 60 MiB. */
const MAX_LAYER_METADATA_SIZE = 256 << 20;

/** What a path is that no content object stands for. */
export const DIRECTORY = 'directory';

/** The first layer begins with the commit; chunk layers hold no metadata objects. */
export type OstreeLayerKind = 'commit' | 'chunk';

/** What a layer holds. Content objects are verified and forgotten, metadata objects are kept. */
export interface LayerContents {
  /** Metadata objects by `CHECKSUM.kind`, in the order of the layer. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  /** Content objects of regular files and symlinks. */
  readonly files: ReadonlySet<string>;
  /**
   * Paths in the image and what they are: a directory, or the content object they are linked to. A path that is a file of
   * its own has the checksum it would have with the xattrs of the object before it, which the layer then holds it for.
   */
  readonly paths: ReadonlyMap<string, string>;
}

/** Takes content objects while a layer is read. */
export interface ObjectSink {
  /** An object begins; what its bytes go to, or undefined where they are not wanted. */
  file(checksum: string, header: FileHeader): FileSink | undefined;
}
export interface FileSink {
  /** `bytes` are valid until the call returns. */
  write(bytes: Uint8Array): void;
  /** The object is complete and has its checksum. */
  finish(): void;
}

/** Reads the layer to its end. Throws `CORRUPT` or `LIMIT`, naming the entry and the rule it breaks. */
export async function readOstreeLayer(
  stream: AsyncIterable<Uint8Array>,
  role: OstreeLayerKind,
  sink?: ObjectSink,
): Promise<LayerContents> {
  const layer = new LayerReader(role, sink);
  const reader = new TarReader(layer);
  for await (const bytes of stream) {
    reader.push(bytes);
  }
  reader.end();
  return layer.finish();
}

class LayerReader implements TarVisitor {
  readonly #metadata = new Map<string, Uint8Array>();
  readonly #files = new Set<string>();
  readonly #paths = new Map<string, string>();
  readonly #role: OstreeLayerKind;
  readonly #sink: ObjectSink | undefined;
  /** Xattrs by their checksum, for objects that are linked to them. */
  readonly #shared = new Map<string, Uint8Array>();
  #sharedSize = 0;
  #metadataSize = 0;
  /** Of the last .file: paths that are no links follow their object. */
  #lastXattrs: Uint8Array = new Uint8Array();
  /** The .file-xattrs-link that was just read; its .file comes next. */
  #xattrs: { readonly checksum: string; readonly bytes: Uint8Array } | undefined;
  /** Where the content of the present entry goes. */
  #target: { write(bytes: Uint8Array): unknown; finish(): unknown } | undefined;

  constructor(role: OstreeLayerKind, sink: ObjectSink | undefined) {
    this.#role = role;
    this.#sink = sink;
  }

  entry(header: TarHeader): void {
    this.#target = undefined;
    const name = header.name.replace(/\/$/, '');
    const isObject = name.startsWith(OBJECTS) && header.type !== 'directory';
    if (this.#xattrs && !(isObject && name.endsWith('.file'))) {
      throw corrupt(`comes between the xattrs and the content of object ${this.#xattrs.checksum}`);
    }
    if (isObject) {
      this.#object(name.slice(OBJECTS.length), header);
    } else {
      this.#path(name, header);
    }
  }

  content(bytes: Uint8Array): void {
    this.#target?.write(bytes);
  }

  entryEnd(): void {
    this.#target?.finish();
  }

  finish(): LayerContents {
    if (this.#xattrs) {
      throw corrupt(`object ${this.#xattrs.checksum} has xattrs and no content`);
    }
    if (this.#role === 'commit' && this.#metadata.size === 0) {
      throw corrupt('the layer holds no commit');
    }
    return { metadata: this.#metadata, files: this.#files, paths: this.#paths };
  }

  #object(place: string, header: TarHeader): void {
    const [, directory, rest, kind = ''] =
      /^([0-9a-f]{2})\/([0-9a-f]{62})\.([a-z-]+)$/.exec(place) ?? [];
    const checksum = `${directory}${rest}`;
    if (!isChecksum(checksum)) {
      throw corrupt('is not the path of an object');
    }
    const isFirst = this.#metadata.size === 0 && this.#files.size === 0;
    if (this.#role === 'commit' && isFirst !== (kind === 'commit')) {
      throw corrupt(isFirst ? 'the first object is no commit' : 'is a second commit');
    }
    if (kind === 'file') {
      this.#file(checksum, header);
    } else if (kind === 'file-xattrs') {
      this.#collect(header, MAX_XATTRS_SIZE, (bytes) => this.#share(checksum, bytes));
    } else if (kind === 'file-xattrs-link') {
      this.#xattrsOf(checksum, header);
    } else {
      this.#metadataObject(checksum, kind, header);
    }
  }

  #metadataObject(checksum: string, extension: string, header: TarHeader): void {
    const kind = METADATA_KINDS.find((each) => each === extension);
    if (kind === undefined) {
      throw corrupt(`unknown kind of object: ${extension}`);
    }
    if (this.#role === 'chunk') {
      throw corrupt('is a metadata object in a chunk layer');
    }
    this.#collect(header, MAX_METADATA_SIZE, (bytes) => this.#metadataBytes(checksum, kind, bytes));
  }

  #metadataBytes(checksum: string, kind: MetadataKind, bytes: Uint8Array): void {
    const name = encodeObjectName(checksum, kind);
    if (this.#metadata.has(name)) {
      throw corrupt('is there twice');
    }
    this.#metadataSize += bytes.length;
    if (this.#metadataSize > MAX_LAYER_METADATA_SIZE) {
      throw new OstrataError(
        'LIMIT',
        `metadata objects of more than ${MAX_LAYER_METADATA_SIZE} bytes`,
      );
    }
    if (kind === 'commitmeta') {
      if (this.#metadata.size !== 1 || !this.#metadata.has(encodeObjectName(checksum, 'commit'))) {
        throw corrupt('does not come directly after its commit');
      }
    } else if (sha256Hex(bytes) !== checksum) {
      throw corrupt(`has the checksum ${sha256Hex(bytes)}`);
    }
    this.#metadata.set(name, bytes);
  }

  #share(checksum: string, bytes: Uint8Array): void {
    if (sha256Hex(bytes) !== checksum) {
      throw corrupt(`has the checksum ${sha256Hex(bytes)}`);
    }
    this.#sharedSize += bytes.length;
    if (this.#sharedSize > MAX_SHARED_XATTRS_SIZE) {
      throw new OstrataError('LIMIT', `shared xattrs of more than ${MAX_SHARED_XATTRS_SIZE} bytes`);
    }
    this.#shared.set(checksum, bytes);
  }

  #xattrsOf(checksum: string, header: TarHeader): void {
    const take = (bytes: Uint8Array) => {
      this.#xattrs = { checksum, bytes };
    };
    if (header.type !== 'link') {
      this.#collect(header, MAX_XATTRS_SIZE, take);
      return;
    }
    const [, directory, rest] =
      /(?:^|\/)([0-9a-f]{2})\/([0-9a-f]{62})\.file-xattrs$/.exec(header.linkname) ?? [];
    const bytes = this.#shared.get(`${directory}${rest}`);
    if (bytes === undefined) {
      throw corrupt(`is a link to ${header.linkname}, which does not precede it`);
    }
    take(bytes);
  }

  #file(checksum: string, header: TarHeader): void {
    if (this.#xattrs?.checksum !== checksum) {
      throw corrupt('no xattrs precede it');
    }
    if (this.#files.has(checksum)) {
      throw corrupt('is there twice');
    }
    if (header.type !== 'file' && header.type !== 'symlink') {
      throw corrupt(`is a ${header.type}`);
    }
    const file = fileHeader(header, this.#xattrs.bytes);
    this.#files.add(checksum);
    this.#lastXattrs = this.#xattrs.bytes;
    this.#xattrs = undefined;
    this.#target = new CheckedFile(
      checksum,
      startFileChecksum(file),
      this.#sink?.file(checksum, file),
    );
  }

  #collect(header: TarHeader, limit: number, take: (bytes: Uint8Array) => void): void {
    if (header.type !== 'file') {
      throw corrupt(`is a ${header.type}`);
    }
    if (header.size > limit) {
      throw new OstrataError('LIMIT', `${header.size} bytes, at most ${limit}`);
    }
    const whole = new Uint8Array(header.size);
    let filled = 0;
    this.#target = {
      write(bytes) {
        whole.set(bytes, filled);
        filled += bytes.length;
      },
      finish: () => take(whole),
    };
  }

  #path(name: string, header: TarHeader): void {
    if (name.startsWith('/') || name.split('/').includes('..')) {
      throw corrupt('leaves the image');
    }
    if (header.type === 'directory') {
      return void this.#paths.set(name, DIRECTORY);
    }
    if (SKIPPED.test(name)) {
      return;
    }
    if (this.#paths.has(name)) {
      throw corrupt('is there twice');
    }
    if (header.type === 'file' || header.type === 'symlink') {
      const hash = startFileChecksum(fileHeader(header, this.#lastXattrs));
      this.#target = {
        write: (bytes) => hash.update(bytes),
        finish: () => this.#paths.set(name, hash.digest('hex')),
      };
      return;
    }
    if (header.type !== 'link') {
      throw corrupt(`is a ${header.type}`);
    }
    this.#paths.set(name, this.#linked(header.linkname));
  }

  /** The object that `linkname` names: itself, or a path before it that is a file of its own. */
  #linked(linkname: string): string {
    if (!linkname.startsWith(OBJECTS)) {
      const target = this.#paths.get(linkname);
      if (target === undefined || target === DIRECTORY) {
        throw corrupt(`is a link to ${linkname}, which is no object`);
      }
      return target;
    }
    const checksum = linkname
      .slice(OBJECTS.length)
      .replace('/', '')
      .replace(/\.file$/, '');
    if (!this.#files.has(checksum)) {
      throw corrupt(`is a link to ${linkname}, which does not precede it`);
    }
    return checksum;
  }
}

/** The content of an object on its way: hashed once, and handed on. */
class CheckedFile {
  readonly #checksum: string;
  readonly #hash: Hash;
  readonly #sink: FileSink | undefined;

  constructor(checksum: string, hash: Hash, sink: FileSink | undefined) {
    this.#checksum = checksum;
    this.#hash = hash;
    this.#sink = sink;
  }

  write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#sink?.write(bytes);
  }

  finish(): void {
    const computed = this.#hash.digest('hex');
    if (computed !== this.#checksum) {
      throw corrupt(`has the checksum ${computed}`);
    }
    this.#sink?.finish();
  }
}

function fileHeader(
  { uid, gid, mode, type, size, linkname }: TarHeader,
  xattrsBytes: Uint8Array,
): FileHeader {
  const isFile = type === 'file';
  return {
    uid,
    gid,
    mode: mode | (isFile ? S_IFREG : S_IFLNK),
    size,
    ...(!isFile && { target: linkname }),
    xattrsBytes,
  };
}

function corrupt(rule: string): OstrataError {
  return new OstrataError('CORRUPT', rule);
}
