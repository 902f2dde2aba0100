/**
 * The binary form of a layer index, in which threads send it and caches keep it. All numbers are
 * big-endian:
 *
 *     u32 VERSION, u32 number of xattrs, then each set of xattrs: sized(a(ayay))
 *     u32 number of entries, then each: u8 position of its type in TYPES, text name, and
 *       directory          ATTRIBUTES
 *       file               ATTRIBUTES, i64 size, 32 bytes checksum, 32 bytes SHA-256, i64 offset,
 *                          u32 number of extents + 1 (0: not sparse), each: i64 offset, i64 length
 *       symlink            ATTRIBUTES, text target, 32 bytes checksum, i64 offset
 *       link               text target
 *     ATTRIBUTES = u32 mode, u32 uid, u32 gid, i64 mtime, u32 position of the xattrs
 *     sized = u32 length, bytes; text = sized UTF-8
 */
import { ByteWriter } from '../bytes/byte-writer.js';
import { Cursor } from '../bytes/cursor.js';
import { decodeUtf8 } from '../bytes/text.js';
import type { Xattrs } from '../bytes/xattrs.js';
import { must } from '../errors.js';
import { CHECKSUM_BYTES } from '../ostree/objects/object-name.js';
import { encodeXattrs, type XattrsInterner } from '../ostree/objects/xattr-list.js';
import type { Extent } from '../tar/sparse.js';
import { MAX_TREE_ENTRIES } from './file-map.js';
import type { IndexedContent, IndexedDirectory, IndexedEntry } from './layer-index.js';

/** Changes with the format, and with what {@link indexLayer} makes of a tar. */
export const LAYER_INDEX_VERSION = 1;

const TYPES = ['directory', 'file', 'symlink', 'link', 'special'] as const;
/** Limit for the parts of one sparse file. */
const MAX_EXTENTS = 1 << 20;

export function encodeLayerIndex(entries: readonly IndexedEntry[]): Uint8Array {
  const out = new ByteWriter();
  out.u32(LAYER_INDEX_VERSION);
  const positions = writeXattrs(out, entries);
  out.u32(entries.length);
  for (const entry of entries) {
    out.u8(TYPES.indexOf(entry.type));
    out.text(entry.name);
    if (entry.type === 'link') {
      out.text(entry.target);
    } else if (entry.type !== 'special') {
      writeAttributes(out, entry, positions);
    }
  }
  return out.finish();
}

/** Writes each set of xattrs once, and returns their positions. */
function writeXattrs(
  out: ByteWriter,
  entries: readonly IndexedEntry[],
): ReadonlyMap<Xattrs, number> {
  const positions = new Map<Xattrs, number>();
  for (const entry of entries) {
    if ('xattrs' in entry && !positions.has(entry.xattrs)) {
      positions.set(entry.xattrs, positions.size);
    }
  }
  out.u32(positions.size);
  for (const xattrs of positions.keys()) {
    out.sized(encodeXattrs(xattrs));
  }
  return positions;
}

function writeAttributes(
  out: ByteWriter,
  entry: IndexedDirectory | IndexedContent,
  positions: ReadonlyMap<Xattrs, number>,
): void {
  out.u32(entry.mode);
  out.u32(entry.uid);
  out.u32(entry.gid);
  out.i64(entry.mtime);
  out.u32(must(positions.get(entry.xattrs), 'xattrs'));
  switch (entry.type) {
    case 'directory':
      break;
    case 'symlink':
      out.text(entry.target);
      out.bytes(Buffer.from(entry.checksum, 'hex'));
      out.i64(entry.offset);
      break;
    case 'file':
      out.i64(entry.size);
      out.bytes(Buffer.from(entry.checksum, 'hex'));
      out.bytes(Buffer.from(entry.contentDigest, 'hex'));
      out.i64(entry.offset);
      writeExtents(out, entry.extents);
      break;
  }
}

function writeExtents(out: ByteWriter, extents: readonly Extent[] | undefined): void {
  out.u32(extents === undefined ? 0 : extents.length + 1);
  for (const { offset, length } of extents ?? []) {
    out.i64(offset);
    out.i64(length);
  }
}

/** Throws `CORRUPT` or `LIMIT` for bytes that {@link encodeLayerIndex} does not write. */
export function decodeLayerIndex(
  bytes: Uint8Array,
  interner: XattrsInterner,
): readonly IndexedEntry[] {
  return new IndexDecoder(bytes, interner).entries();
}

class IndexDecoder {
  readonly #in: Cursor;
  readonly #interner: XattrsInterner;
  #xattrs: readonly Xattrs[] = [];

  constructor(bytes: Uint8Array, interner: XattrsInterner) {
    // Not a Buffer, whose `slice` would not copy.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#in = new Cursor(view, 'layer index');
    this.#interner = interner;
  }

  entries(): readonly IndexedEntry[] {
    const version = this.#in.u32();
    if (version !== LAYER_INDEX_VERSION) {
      throw this.#in.error(`expected version ${LAYER_INDEX_VERSION}, got ${version}`, 0);
    }
    this.#xattrs = this.#list(() => this.#interner.intern(this.#sized()).xattrs);
    const entries = this.#list(() => this.#entry());
    if (this.#in.remaining > 0) {
      throw this.#in.error(`${this.#in.remaining} bytes after the last entry`);
    }
    return entries;
  }

  #entry(): IndexedEntry {
    const type = TYPES[this.#in.u8()];
    if (type === undefined) {
      throw this.#in.error('unknown type of entry');
    }
    const name = this.#text();
    switch (type) {
      case 'directory':
        return { type, ...this.#attributes(name) };
      case 'symlink':
        return {
          type,
          ...this.#attributes(name),
          target: this.#text(),
          checksum: this.#checksum(),
          offset: this.#i64(),
        };
      case 'file':
        return {
          type,
          ...this.#attributes(name),
          size: this.#i64(),
          checksum: this.#checksum(),
          contentDigest: this.#checksum(),
          offset: this.#i64(),
          extents: this.#extents(),
        };
      case 'link':
        return { type, name, target: this.#text() };
      case 'special':
        return { type, name };
    }
  }

  #attributes(name: string) {
    const mode = this.#in.u32();
    const uid = this.#in.u32();
    const gid = this.#in.u32();
    const mtime = this.#i64();
    const xattrs = this.#xattrs[this.#in.u32()];
    if (xattrs === undefined) {
      throw this.#in.error('no such xattrs');
    }
    return {
      name,
      mode,
      uid,
      gid,
      mtime,
      xattrs,
    };
  }

  #extents(): readonly Extent[] | undefined {
    const count = this.#in.u32() - 1;
    if (count < 0) {
      return undefined;
    }
    if (count > MAX_EXTENTS) {
      throw this.#in.error(`${count} extents, at most ${MAX_EXTENTS}`);
    }
    return Array.from({ length: count }, () => ({ offset: this.#i64(), length: this.#i64() }));
  }

  #list<T>(read: () => T): readonly T[] {
    const count = this.#in.u32();
    if (count > MAX_TREE_ENTRIES) {
      throw this.#in.error(`${count} entries, at most ${MAX_TREE_ENTRIES}`);
    }
    return Array.from({ length: count }, read);
  }

  #i64(): number {
    return Number(BigInt.asIntN(64, this.#in.u64()));
  }

  #checksum(): string {
    return Buffer.from(this.#in.take(CHECKSUM_BYTES)).toString('hex');
  }

  #sized(): Uint8Array {
    return this.#in.take(this.#in.u32());
  }

  #text(): string {
    const text = decodeUtf8(this.#sized());
    if (text === undefined) {
      throw this.#in.error('a text is not UTF-8');
    }
    return text;
  }
}
