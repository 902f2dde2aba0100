/**
 * The ndb backend of rpm (`Packages.db`, the default of openSUSE). The only specification is rpm's
 * source file lib/backend/ndb/rpmpkg.c. All integers are little-endian u32.
 *
 *   header, 32 bytes: magic `RpmP`, version 0, generation, slot pages, next package number,
 *     12 bytes unused
 *   slots, 16 bytes each, from offset 32 to the end of the last 4 KiB slot page: magic `Slot`,
 *     package number, block offset, block count; a free slot has offset 0
 *   blobs, in blocks of 16 bytes:
 *     head: `BlbS`, package number, generation, length
 *     the header blob, and zeros up to a whole block with the tail
 *     tail: adler32 over everything before it, length, `BlbE`
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { attempt, type Backend, type HeaderRecord, type WalkReport } from './backend.js';

export const NDB_MAGIC = Buffer.from('RpmP', 'latin1');
const SLOT_MAGIC = 0x746f6c53; // Slot
const BLOB_START_MAGIC = 0x53626c42; // BlbS
const BLOB_END_MAGIC = 0x45626c42; // BlbE
const VERSION = 0;
/** Block offset of a slot that is not in use. */
const FREE_SLOT = 0;

const HEADER_SIZE = 32;
const SLOT_PAGE_SIZE = 4096;
const SLOT_SIZE = 16;
const BLOCK_SIZE = 16;
const BLOB_HEAD_SIZE = 16;
const BLOB_TAIL_SIZE = 12;
/** How many package numbers a warning names. */
const SHOWN_BLOBS = 10;
const WHAT = 'ndb database';

interface Slot {
  readonly number: number;
  /** In blocks. */
  readonly offset: number;
  /** In blocks. */
  readonly count: number;
}

/** Opens the content of a `Packages.db`. Throws `CORRUPT` if its header is damaged. */
export function openNdb(database: Uint8Array): Backend {
  const slotsEnd = readSlotsEnd(database);
  return { name: 'ndb', records: (report) => readRecords(database, slotsEnd, report) };
}

function* readRecords(
  database: Uint8Array,
  slotsEnd: number,
  report: WalkReport,
): Generator<HeaderRecord> {
  const slots = readSlots(database, slotsEnd, report);
  for (const slot of slots.toSorted((a, b) => a.number - b.number)) {
    const bytes = attempt(report, () => readBlob(database, slot));
    if (bytes !== undefined) {
      yield { number: slot.number, bytes };
    }
  }

  const lost = blobsOutside(slots, database, slotsEnd);
  if (lost.length > 0) {
    const shown =
      lost.slice(0, SHOWN_BLOBS).join(', ') + (lost.length > SHOWN_BLOBS ? ', ...' : '');
    report.warning(`${WHAT}: no sound slot leads to the blobs of these packages: ${shown}`);
  }
}

/**
 * Returns the package numbers of blobs outside every sound slot. rpm overwrites a blob when it
 * frees its slot, so either the slot was damaged or the installation of the package was
 * interrupted.
 * @param slots by ascending offset
 */
function blobsOutside(slots: readonly Slot[], database: Uint8Array, slotsEnd: number): number[] {
  const cursor = new Cursor(database, WHAT);
  const lastBlock = Math.floor(database.length / BLOCK_SIZE);
  const numbers: number[] = [];
  let block = slotsEnd / BLOCK_SIZE;
  for (const next of [...slots, { offset: lastBlock, count: 0 }]) {
    while (block < next.offset) {
      const blob = blobAt(cursor, block, next.offset);
      if (blob !== undefined) {
        numbers.push(blob.number);
      }
      block += blob?.count ?? 1;
    }
    block = next.offset + next.count;
  }
  return numbers;
}

/** Returns the blob that begins at a block and ends before block `end`; undefined if none does. */
function blobAt(cursor: Cursor, block: number, end: number): Slot | undefined {
  if (cursor.seek(block * BLOCK_SIZE).u32(true) !== BLOB_START_MAGIC) {
    return undefined;
  }
  const number = cursor.u32(true);
  cursor.u32(true); // generation
  const length = cursor.u32(true);
  const count = blocksOf(length);
  if (block + count > end) {
    return undefined;
  }
  cursor.seek((block + count) * BLOCK_SIZE - BLOB_TAIL_SIZE + 4);
  const isWhole = cursor.u32(true) === length && cursor.u32(true) === BLOB_END_MAGIC;
  return isWhole ? { number, offset: block, count } : undefined;
}

/** Returns how many blocks a blob with a header of `length` bytes takes. */
function blocksOf(length: number): number {
  return Math.ceil((BLOB_HEAD_SIZE + length + BLOB_TAIL_SIZE) / BLOCK_SIZE);
}

/** Returns the offset at which the slots end and the blobs begin. */
function readSlotsEnd(database: Uint8Array): number {
  const cursor = new Cursor(database, WHAT, NDB_MAGIC.length);
  const version = cursor.u32(true);
  if (version !== VERSION) {
    throw cursor.error(`version ${version}, expected ${VERSION}`, 4);
  }
  cursor.u32(true); // generation, for writers
  const slotPages = cursor.u32(true);
  if (slotPages < 1 || slotPages * SLOT_PAGE_SIZE > database.length) {
    throw cursor.error(
      `${slotPages} slot pages of ${SLOT_PAGE_SIZE} bytes in ${database.length} bytes`,
      12,
    );
  }

  return slotPages * SLOT_PAGE_SIZE;
}

/** Returns the sound slots in use, by ascending offset. */
function readSlots(database: Uint8Array, slotsEnd: number, report: WalkReport): readonly Slot[] {
  const cursor = new Cursor(database, WHAT);
  const slots: Slot[] = [];
  for (let at = HEADER_SIZE; at < slotsEnd; at += SLOT_SIZE) {
    const slot = attempt(report, () => readSlot(cursor, at, slotsEnd / BLOCK_SIZE));
    if (slot !== undefined) {
      slots.push(slot);
    }
  }
  return withoutOverlaps(slots, cursor, report);
}

/**
 * Returns the slot at offset `at`; undefined if it is free.
 * @param firstBlock the first block after the slots
 */
function readSlot(cursor: Cursor, at: number, firstBlock: number): Slot | undefined {
  cursor.seek(at);
  if (cursor.u32(true) !== SLOT_MAGIC) {
    throw cursor.error('no slot magic', at);
  }
  const number = cursor.u32(true);
  const offset = cursor.u32(true);
  const count = cursor.u32(true);
  if (offset === FREE_SLOT) {
    return undefined;
  }
  const slot = { number, offset, count };
  checkSlot(slot, cursor, at, firstBlock);
  return slot;
}

/** Throws if a slot lies outside the blocks of the file. */
function checkSlot(slot: Slot, cursor: Cursor, at: number, firstBlock: number): void {
  if (slot.number === 0) {
    throw cursor.error('slot in use without package number', at);
  }
  const end = slot.offset + slot.count;
  const fileSize = cursor.bytes.length;
  if (slot.offset < firstBlock || end * BLOCK_SIZE > fileSize) {
    throw cursor.error(
      `package ${slot.number}: blocks ${slot.offset} to ${end} ` +
        `of a file with blobs in ${firstBlock} to ${Math.floor(fileSize / BLOCK_SIZE)}`,
      at,
    );
  }
}

/**
 * Returns the slots by ascending offset, without those that overlap the one before or repeat a
 * number. Overlapping blobs would let a small file expand to a huge amount of data.
 */
function withoutOverlaps(
  slots: readonly Slot[],
  cursor: Cursor,
  report: WalkReport,
): readonly Slot[] {
  const kept: Slot[] = [];
  const numbers = new Set<number>();
  let end = 0;
  for (const slot of slots.toSorted((a, b) => a.offset - b.offset)) {
    const { number, offset, count } = slot;
    if (offset < end) {
      const rule = `package ${number}: overlaps the blob before it`;
      report.damage(cursor.error(rule, offset * BLOCK_SIZE));
    } else if (numbers.has(number)) {
      const rule = `package ${number}: has two slots`;
      report.damage(cursor.error(rule, offset * BLOCK_SIZE));
    } else {
      kept.push(slot);
      numbers.add(number);
      end = offset + count;
    }
  }
  return kept;
}

function readBlob(database: Uint8Array, slot: Slot): Uint8Array {
  const start = slot.offset * BLOCK_SIZE;
  const cursor = new Cursor(database, `${WHAT}: package ${slot.number}`, start);
  if (cursor.u32(true) !== BLOB_START_MAGIC) {
    throw cursor.error('no blob magic', start);
  }
  const number = cursor.u32(true);
  if (number !== slot.number) {
    throw cursor.error(`the blob belongs to package ${number}`, start);
  }
  cursor.u32(true); // generation
  const length = cursor.u32(true);
  const blocks = blocksOf(length);
  if (blocks !== slot.count) {
    throw cursor.error(`blob of ${length} bytes in ${slot.count} blocks`, start);
  }
  const bytes = cursor.take(length);

  const tail = start + blocks * BLOCK_SIZE - BLOB_TAIL_SIZE;
  cursor.seek(tail);
  const expected = cursor.u32(true);
  if (cursor.u32(true) !== length || cursor.u32(true) !== BLOB_END_MAGIC) {
    throw cursor.error('no blob tail', tail);
  }

  const actual = adler32(database.subarray(start, tail));
  if (actual !== expected) {
    throw cursor.error(`checksum ${actual.toString(16)}, expected ${expected.toString(16)}`, tail);
  }
  return bytes;
}

/** The checksum of RFC 1950, section 8.2. */
function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let start = 0; start < bytes.length; start += ADLER_BATCH) {
    const end = Math.min(start + ADLER_BATCH, bytes.length);
    for (let i = start; i < end; i++) {
      a += bytes[i] ?? 0;
      b += a;
    }
    a %= ADLER_MODULUS;
    b %= ADLER_MODULUS;
  }
  return ((b << 16) | a) >>> 0;
}

const ADLER_MODULUS = 65521;
/** After this many additions the sums are still below 2^32 (zlib's NMAX). */
const ADLER_BATCH = 5552;
