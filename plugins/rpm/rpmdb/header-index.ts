/**
 * The index of an rpm header: its region, and which entry of a tag counts. The format is described
 * in header.ts.
 */
import type { Cursor } from '../../../src/bytes/cursor.js';
import { Tag, TagType } from './tags.js';

/** Offset of the first index entry in the header blob. */
export const INDEX_START = 8;
export const INDEX_ENTRY_SIZE = 16;

/** The entries at the start of the index that were built and signed, and their data. */
export interface HeaderRegion {
  /** `HEADERIMMUTABLE` in a package database. */
  readonly tag: number;
  /** The number of index entries, including the one that opens the region. */
  readonly entries: number;
  /** Bytes of the data up to the end of the trailer; undefined if there is no trailer. */
  readonly dataLength: number | undefined;
}

/** The index of a header. */
export interface HeaderIndex {
  /** The offset of the index entry of each tag, without regions. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Undefined in headers of rpm before 4. */
  readonly region: HeaderRegion | undefined;
}

/**
 * Reads the index. The lengths must have been checked against the bytes. Throws `CORRUPT` if the
 * region or an offset breaks the format.
 */
export function readIndex(cursor: Cursor, entries: number, dataLength: number): HeaderIndex {
  const { bytes } = cursor;
  const region = readRegion(cursor, entries, dataLength);
  const regionEntries = region?.entries ?? 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const index = new Map<number, number>();
  for (let i = 0; i < entries; i++) {
    const at = INDEX_START + i * INDEX_ENTRY_SIZE;
    const tag = view.getUint32(at);
    if (tag < Tag.HEADERI18NTABLE) {
      continue;
    }
    const offset = view.getUint32(at + 8);
    if (offset > dataLength) {
      throw cursor.error(`tag ${tag}: data at ${offset} of ${dataLength} bytes`, at);
    }

    const isInRegion = i < regionEntries;
    if (isInRegion && index.has(tag)) {
      continue; // In the region, the first entry of a tag counts.
    }
    if (!isInRegion && tag === Tag.BASENAMES) {
      index.delete(Tag.OLDFILENAMES); // Added base names replace old paths.
    }
    index.set(tag, at);
  }
  return { offsets: index, region };
}

/** Returns the region; it lies within the header. */
function readRegion(cursor: Cursor, entries: number, dataLength: number): HeaderRegion | undefined {
  const dataStart = INDEX_START + entries * INDEX_ENTRY_SIZE;
  cursor.seek(INDEX_START);
  const tag = cursor.u32();
  if (tag !== Tag.HEADERIMAGE && tag !== Tag.HEADERSIGNATURES && tag !== Tag.HEADERIMMUTABLE) {
    return undefined;
  }
  const type = cursor.u32();
  const offset = cursor.u32();
  const count = cursor.u32();
  if (type !== TagType.BIN || count !== INDEX_ENTRY_SIZE) {
    throw cursor.error(
      `region of type ${type}, count ${count}, expected type 7, count 16`,
      INDEX_START,
    );
  }
  if (offset === 0) {
    // Headers converted from rpm 3 have a region of all entries, without trailer.
    return { tag, entries, dataLength: undefined };
  }
  if (offset + INDEX_ENTRY_SIZE > dataLength) {
    throw cursor.error(`region trailer at ${offset} of ${dataLength} bytes`, INDEX_START);
  }
  cursor.seek(dataStart + offset + 8);
  const inRegion = -(cursor.u32() | 0) / INDEX_ENTRY_SIZE;
  if (!Number.isInteger(inRegion) || inRegion < 1 || inRegion > entries) {
    throw cursor.error(
      `region of ${inRegion} index entries in a header of ${entries}`,
      dataStart + offset,
    );
  }
  return { tag, entries: inRegion, dataLength: offset + INDEX_ENTRY_SIZE };
}
