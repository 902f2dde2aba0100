/**
 * The rpm header ("header blob") as the package database stores it, without the 8 bytes of magic
 * and version that a .rpm file has. Spec:
 * https://rpm-software-management.github.io/rpm/manual/format_header.html; the rules for regions
 * are those of rpm's lib/header.c (hdrblobInit, hdrblobImport). All integers are big-endian.
 *
 *   u32 number of index entries
 *   u32 length of the data
 *   index entries of 16 bytes: u32 tag, u32 type, i32 offset from the start of the data, u32 count
 *   data
 *
 * If the tag of the first entry is 62 or 63, it opens a region, the entries that were built and
 * signed. Its offset points to a 16-byte trailer in the data whose own offset is -16 times the
 * number of entries in the region. The entries after the region ("dribbles": install time, file
 * states, ...) were added on installation and override those of the region.
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { decodeUtf8 } from '../../../src/bytes/text.js';
import { OstrataError } from '../../../src/errors.js';
import { type HeaderIndex, INDEX_ENTRY_SIZE, INDEX_START, readIndex } from './header-index.js';
import { Tag, TagType } from './tags.js';

/** rpm's own bounds (hdrchkTags, hdrchkData). */
const MAX_INDEX_ENTRIES = 0xffff;
const MAX_DATA_BYTES = (1 << 28) - 1;
/** The largest possible header blob; a database entry that claims more is corrupt. */
export const MAX_HEADER_BYTES = 8 + 16 * MAX_INDEX_ENTRIES + MAX_DATA_BYTES;

/** Number of strings from which on it is faster to decode all at once. */
const LONG_LIST = 8;

/** Bytes of one element by type; 0 for strings, whose length is in the data. */
const ELEMENT_SIZE: Readonly<Record<number, number>> = {
  [TagType.CHAR]: 1,
  [TagType.INT8]: 1,
  [TagType.INT16]: 2,
  [TagType.INT32]: 4,
  [TagType.INT64]: 8,
  [TagType.STRING]: 0,
  [TagType.BIN]: 1,
  [TagType.STRING_ARRAY]: 0,
  [TagType.I18NSTRING]: 0,
};

interface IndexEntry {
  readonly type: number;
  /** From the start of the blob. */
  readonly start: number;
  readonly count: number;
}

/**
 * One rpm header: typed access by tag. Entries are decoded when they are asked for; a broken one
 * throws `CORRUPT` then.
 */
export class RpmHeader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #dataStart: number;
  readonly #region: HeaderIndex['region'];
  /** Offset of the index entry by tag. */
  readonly #index: ReadonlyMap<number, number>;
  /** Offsets of the data of all entries, ascending; computed when needed. */
  #starts: Uint32Array | undefined;

  private constructor(bytes: Uint8Array, dataStart: number, { offsets, region }: HeaderIndex) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#dataStart = dataStart;
    this.#index = offsets;
    this.#region = region;
  }

  /**
   * Reads the index and checks counts, bounds and the region. Keeps `bytes`, without a copy. Throws
   * `CORRUPT` or `LIMIT`.
   */
  static parse(bytes: Uint8Array): RpmHeader {
    const cursor = new Cursor(bytes, 'rpm header');
    const entries = cursor.u32();
    const dataLength = cursor.u32();
    if (entries < 1) {
      throw cursor.error('no index entries', 0);
    }
    if (entries > MAX_INDEX_ENTRIES) {
      throw limit('index entries', entries, MAX_INDEX_ENTRIES);
    }
    if (dataLength > MAX_DATA_BYTES) {
      throw limit('bytes of data', dataLength, MAX_DATA_BYTES);
    }
    const dataStart = INDEX_START + entries * INDEX_ENTRY_SIZE;
    const end = dataStart + dataLength;
    if (bytes.length < end) {
      throw cursor.error(
        `${entries} entries and ${dataLength} bytes of data in ${bytes.length} bytes`,
        0,
      );
    }

    const index = readIndex(cursor, entries, dataLength);
    return new RpmHeader(bytes.subarray(0, end), dataStart, index);
  }

  /** Returns the blob that was parsed, a view. */
  bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Returns what was built and signed, as a header of its own: the two lengths, the index entries
   * and the data of the immutable region. Undefined if there is no such region.
   */
  immutableRegion():
    | readonly [lengths: Uint8Array, index: Uint8Array, data: Uint8Array]
    | undefined {
    const { tag, entries = 0, dataLength } = this.#region ?? {};
    if (tag !== Tag.HEADERIMMUTABLE || dataLength === undefined) {
      return undefined;
    }
    const lengths = Buffer.alloc(INDEX_START);
    lengths.writeUInt32BE(entries, 0);
    lengths.writeUInt32BE(dataLength, 4);
    const indexEnd = INDEX_START + entries * INDEX_ENTRY_SIZE;
    return [
      lengths,
      this.#bytes.subarray(INDEX_START, indexEnd),
      this.#bytes.subarray(this.#dataStart, this.#dataStart + dataLength),
    ];
  }

  /** Returns the tags in the order of the index, without regions. */
  tags(): IterableIterator<number> {
    return this.#index.keys();
  }
  /** Whether the header has `tag`. */
  has(tag: number): boolean {
    return this.#index.has(tag);
  }
  /**
   * Returns the data type of `tag` (a value of TagType), or undefined if the header does not have
   * it.
   */
  type(tag: number): number | undefined {
    return this.#entry(tag)?.type;
  }

  /**
   * Returns the unsigned integers of `tag`; undefined if the header does not have it. Throws
   * `LIMIT` above 2^53.
   */
  numbers(tag: number): readonly number[] | undefined {
    const entry = this.#entry(tag);
    if (entry === undefined) {
      return undefined;
    }
    const cursor = this.#elements(tag, entry);
    const view = this.#view;
    const { start } = entry;
    const values = new Array<number>(entry.count);
    switch (entry.type) {
      case TagType.CHAR:
      case TagType.INT8:
        for (let i = 0; i < values.length; i++) {
          values[i] = view.getUint8(start + i);
        }
        return values;
      case TagType.INT16:
        for (let i = 0; i < values.length; i++) {
          values[i] = view.getUint16(start + 2 * i);
        }
        return values;
      case TagType.INT32:
        for (let i = 0; i < values.length; i++) {
          values[i] = view.getUint32(start + 4 * i);
        }
        return values;
      case TagType.INT64:
        for (let i = 0; i < values.length; i++) {
          values[i] = toNumber(view.getBigUint64(start + 8 * i), tag);
        }
        return values;
      default:
        throw cursor.error(`tag ${tag}: type ${entry.type} holds no integers`);
    }
  }
  /** Returns the first integer of `tag`. */
  number(tag: number): number | undefined {
    return this.numbers(tag)?.[0];
  }

  /**
   * Returns views of the strings of `tag` without their NULs. A translated string has one for each
   * locale, the untranslated one first.
   */
  strings(tag: number): readonly Uint8Array[] | undefined {
    const entry = this.#entry(tag);
    if (entry === undefined) {
      return undefined;
    }
    const cursor = this.#stringElements(tag, entry);
    const values = new Array<Uint8Array>(entry.count);
    for (let i = 0; i < entry.count; i++) {
      values[i] = cursor.untilNul();
    }
    return values;
  }
  /**
   * Returns {@link strings} with one character per byte (Latin-1): exact for any bytes, and ten
   * times as fast for long lists.
   */
  byteStrings(tag: number): readonly string[] | undefined {
    const entry = this.#entry(tag);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.count < LONG_LIST) {
      return this.strings(tag)?.map(byteString);
    }
    this.#stringElements(tag, entry);
    // All bytes up to the next entry are decoded; padding after the last string is cut off.
    const bytes = this.#bytes.subarray(entry.start, this.#nextStart(entry.start));
    const values = byteString(bytes).split('\0', entry.count + 1);
    if (values.length <= entry.count) {
      // Another entry begins among these strings.
      return this.strings(tag)?.map(byteString);
    }
    values.pop();
    return values;
  }
  /** Returns the first string of `tag` as text; bytes that are not UTF-8 become U+FFFD. */
  text(tag: number): string | undefined {
    const entry = this.#entry(tag);
    return entry?.count ? lossyText(this.#stringElements(tag, entry).untilNul()) : undefined;
  }

  /** Returns the bytes of a BIN entry, a view. */
  binary(tag: number): Uint8Array | undefined {
    const entry = this.#entry(tag);
    if (entry === undefined) {
      return undefined;
    }
    const cursor = this.#elements(tag, entry);
    if (entry.type !== TagType.BIN) {
      throw cursor.error(`tag ${tag}: type ${entry.type} is not binary`);
    }
    return cursor.take(entry.count);
  }

  #entry(tag: number): IndexEntry | undefined {
    const at = this.#index.get(tag);
    if (at === undefined) {
      return undefined;
    }
    const view = this.#view;
    return {
      type: view.getUint32(at + 4),
      start: this.#dataStart + view.getUint32(at + 8),
      count: view.getUint32(at + 12),
    };
  }

  #stringElements(tag: number, entry: IndexEntry): Cursor {
    const cursor = this.#elements(tag, entry);
    if (
      entry.type !== TagType.STRING &&
      entry.type !== TagType.STRING_ARRAY &&
      entry.type !== TagType.I18NSTRING
    ) {
      throw cursor.error(`tag ${tag}: type ${entry.type} holds no strings`);
    }
    return cursor;
  }

  /** The offset at which the data of the next entry begins. */
  #nextStart(start: number): number {
    this.#starts ??= Uint32Array.from(
      [...this.#index.values()],
      (at) => this.#dataStart + this.#view.getUint32(at + 8),
    ).sort();
    return this.#starts.find((next) => next > start) ?? this.#bytes.length;
  }

  /** A cursor at the data of `entry`. Throws `CORRUPT` if its count does not fit into the data. */
  #elements(tag: number, entry: IndexEntry): Cursor {
    const cursor = new Cursor(this.#bytes, 'rpm header', entry.start);
    const size = ELEMENT_SIZE[entry.type];
    if (size === undefined) {
      throw cursor.error(`tag ${tag}: unknown type ${entry.type}`);
    }
    if (entry.type === TagType.STRING && entry.count !== 1) {
      throw cursor.error(`tag ${tag}: ${entry.count} values of type string, expected 1`);
    }
    // A string has at least its NUL.
    if (entry.count * Math.max(1, size) > cursor.remaining) {
      throw cursor.error(
        `tag ${tag}: ${entry.count} values of type ${entry.type} in ${cursor.remaining} bytes`,
      );
    }
    return cursor;
  }
}

/** Returns a string with one character per byte. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Returns the text of `bytes`; those that are not UTF-8 become U+FFFD. */
export function lossyText(bytes: Uint8Array): string {
  return decodeUtf8(bytes) ?? new TextDecoder().decode(bytes);
}

function toNumber(value: bigint, tag: number): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw limit(`the value of tag ${tag}`, value, Number.MAX_SAFE_INTEGER);
  }
  return Number(value);
}

function limit(what: string, value: number | bigint, max: number): OstrataError {
  return new OstrataError('LIMIT', `rpm header: ${what}: ${value}, at most ${max}`);
}
