/**
 * The ostree repository in the tar of an encapsulated image, as bootc's ostree-ext writes and reads
 * it ("format v1"): mode bare-split-xattrs, content objects hard-linked to their paths.
 * Source: `tar/export.rs` and `tar/import.rs` of
 * https://github.com/bootc-dev/bootc/tree/main/crates/ostree-ext/src
 *
 * Each content object takes up to three entries, in this order:
 *   objects/HH/REST.file-xattrs        a set of xattrs (`a(ayay)`), named by its sha256, once
 *   objects/HH/REST.file-xattrs-link   the xattrs of the object HHREST: a hard link to such a set,
 *                                      or a copy of it
 *   objects/HH/REST.file               the object itself, a regular file or symlink
 * Paths of the commit follow as hard links to objects. A hard link names an entry before it.
 */
import type { ContentSink } from '../bytes/stream.js';
import { OstrataError } from '../errors.js';
import { sha256Hex } from '../ostree/objects/object-name.js';
import { decodeXattrs, MAX_XATTRS_SIZE } from '../ostree/objects/xattr-list.js';
import type { TarHeader } from '../tar/entry.js';
import { checkChecksum, collectContent } from './layer-tar.js';

/** Where the repository lies in the image; without a leading slash, as names in a tar have none. */
export const REPO_DIRECTORY = 'sysroot/ostree/repo';
/** Names that begin with this are objects of the repository, or its directories. */
export const OBJECTS_PREFIX = `${REPO_DIRECTORY}/objects/`;
/**
 * Limit for all sets of xattrs of one layer together, in bytes: a system has a few hundred sets of
 * some 50 bytes each.
 */
const MAX_SHARED_XATTRS_SIZE = 64 << 20;

/** An object by its path in the tar. */
export interface TarObject {
  readonly checksum: string;
  /** The file extension: `file`, `file-xattrs`, `file-xattrs-link` or a kind of metadata. */
  readonly kind: string;
}

/** Parses the path of an object; undefined for any other name in the tar. */
export function parseObjectPath(name: string): TarObject | undefined {
  if (!name.startsWith(OBJECTS_PREFIX)) {
    return undefined;
  }
  const [, start, rest, kind] =
    /^([0-9a-f]{2})\/([0-9a-f]{62})\.([a-z-]+)$/.exec(name.slice(OBJECTS_PREFIX.length)) ?? [];
  return kind === undefined ? undefined : { checksum: `${start}${rest}`, kind };
}

/** Whether an object holds the xattrs of a content object; see {@link ObjectXattrs}. */
export function isXattrsObject({ kind }: TarObject): boolean {
  return kind === 'file-xattrs' || kind === 'file-xattrs-link';
}

/** The xattrs of the content objects of one layer, each of which comes before its object. */
export class ObjectXattrs {
  /** Sets of xattrs by their checksums. */
  readonly #shared = new Map<string, Uint8Array>();
  #sharedSize = 0;
  /** The bytes that were checked last: most files have the xattrs of the file before them. */
  #checked: Uint8Array = new Uint8Array();
  #next: { readonly checksum: string; readonly bytes: Uint8Array } | undefined;

  /**
   * The content object whose xattrs were read and are not taken yet; undefined if there is none.
   */
  get nextObject(): string | undefined {
    return this.#next?.checksum;
  }

  /**
   * Reads an object that holds xattrs, see {@link isXattrsObject}. Throws `CORRUPT` if it has
   * another checksum than its path states, or is a link to something that does not precede it.
   */
  read(header: TarHeader, { checksum, kind }: TarObject): ContentSink | undefined {
    if (kind === 'file-xattrs') {
      return collectContent(header, MAX_XATTRS_SIZE, (bytes) => this.#share(checksum, bytes));
    }
    if (header.type === 'link') {
      this.#next = { checksum, bytes: this.#linked(header.linkname) };
      return undefined;
    }
    return collectContent(header, MAX_XATTRS_SIZE, (bytes) => {
      this.#check(bytes);
      this.#next = { checksum, bytes };
    });
  }

  /** Returns the xattrs of a content object; undefined unless they were the last that were read. */
  take(checksum: string): Uint8Array | undefined {
    const next = this.#next;
    if (next?.checksum !== checksum) {
      return undefined;
    }
    this.#next = undefined;
    return next.bytes;
  }

  /** Throws `CORRUPT` for xattrs that libostree would not have written, and would refuse. */
  #check(bytes: Uint8Array): void {
    if (Buffer.compare(bytes, this.#checked) !== 0) {
      decodeXattrs(bytes);
      this.#checked = bytes;
    }
  }

  #share(checksum: string, bytes: Uint8Array): void {
    checkChecksum(checksum, sha256Hex(bytes));
    this.#check(bytes);
    this.#sharedSize += bytes.length;
    if (this.#sharedSize > MAX_SHARED_XATTRS_SIZE) {
      throw new OstrataError('LIMIT', `shared xattrs of more than ${MAX_SHARED_XATTRS_SIZE} bytes`);
    }
    this.#shared.set(checksum, bytes);
  }

  #linked(linkname: string): Uint8Array {
    // Links are relative to the object (`../HH/REST.file-xattrs`) or to the root of the image.
    const [, start, rest] =
      /(?:^|\/)([0-9a-f]{2})\/([0-9a-f]{62})\.file-xattrs$/.exec(linkname) ?? [];
    const bytes = this.#shared.get(`${start}${rest}`);
    if (bytes === undefined) {
      throw new OstrataError('CORRUPT', `is a link to ${linkname}, which does not precede it`);
    }
    return bytes;
  }
}
