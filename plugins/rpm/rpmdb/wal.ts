/**
 * SQLite's write-ahead log, applied to a database image. Spec:
 * https://sqlite.org/fileformat2.html#the_write_ahead_log
 *
 * All numbers are big-endian u32s.
 *
 *   header, 32 bytes: magic 0x377f0682 or 0x377f0683, version 3007000, page size,
 *     checkpoint number, salt 1, salt 2, checksum 1, checksum 2
 *   frames, 24 bytes and one page: page number, database size in pages for a commit (else 0),
 *     salt 1, salt 2, checksum 1, checksum 2, the page
 *
 * The lowest bit of the magic shows the byte order in which checksums are computed. Frames are
 * valid up to the last commit whose salts and cumulative checksums are right. What follows is left
 * over from an earlier round of the log, or was never finished.
 */
import { Cursor } from '../../../src/bytes/cursor.js';

const MAGIC = 0x377f0682;
const VERSION = 3007000;
const HEADER_SIZE = 32;
/** Bytes of the header that its checksum covers. */
const CHECKED_HEADER_SIZE = 24;
const FRAME_HEADER_SIZE = 24;
/** Bytes of a frame's header that its checksum covers; the page follows. */
const CHECKED_FRAME_SIZE = 8;

/**
 * Returns a copy of `database` with all committed frames of `wal` applied. The result is undefined
 * if the log holds none, as SQLite sees it: it is empty, or its header has a wrong checksum (a
 * reset log), or it lacks a complete transaction. Throws `CORRUPT` if the log is valid but cannot
 * belong to this database.
 */
export function applyWal(database: Uint8Array, wal: Uint8Array): Uint8Array | undefined {
  const committed = committedFrames(wal);
  if (committed === undefined) {
    return undefined;
  }
  const { pageSize, pages, frames } = committed;
  const cursor = new Cursor(database, 'sqlite database', Math.min(16, database.length));
  const declared = database.length === 0 ? pageSize : cursor.u16();
  if ((declared === 1 ? 65536 : declared) !== pageSize) {
    throw cursor.error(`the log beside it has pages of ${pageSize} bytes`, 16);
  }
  const size = pages * pageSize;
  if (size > database.length + wal.length) {
    throw cursor.error(`the log makes it ${pages} pages, database and log together hold fewer`, 0);
  }
  const image = new Uint8Array(size);
  image.set(database.subarray(0, size));
  for (const [page, offset] of frames) {
    if (page <= pages) {
      image.set(wal.subarray(offset, offset + pageSize), (page - 1) * pageSize);
    }
  }
  return image;
}

/** The two words of a checksum. */
type Sum = readonly [number, number];

/** What the log adds to the database. */
interface CommittedFrames {
  readonly pageSize: number;
  /** Size of the database after the last commit. */
  readonly pages: number;
  /**
   * Offset in the log of the newest content of each page, by page number. Pages are numbered from
   * 1.
   */
  readonly frames: ReadonlyMap<number, number>;
}

function committedFrames(wal: Uint8Array): CommittedFrames | undefined {
  if (wal.length < HEADER_SIZE) {
    return undefined;
  }
  const cursor = new Cursor(wal, 'sqlite log');
  const header = readHeader(cursor);
  if (header === undefined) {
    return undefined;
  }

  const { pageSize } = header;
  const frames = new Map<number, number>();
  let uncommitted: Frame[] = [];
  let pages = 0;
  let { sum } = header;
  while (cursor.remaining >= FRAME_HEADER_SIZE + pageSize) {
    const frame = readFrame(cursor, header, sum);
    if (frame === undefined) {
      break;
    }
    sum = frame.sum;
    uncommitted.push(frame);
    if (frame.sizeAfterCommit > 0) {
      for (const { page, offset } of uncommitted) {
        frames.set(page, offset);
      }
      uncommitted = [];
      pages = frame.sizeAfterCommit;
    }
  }
  return pages === 0 ? undefined : { pageSize, pages, frames };
}

interface LogHeader {
  readonly pageSize: number;
  readonly salts: bigint;
  /** Byte order of the words that are summed up. */
  readonly littleEndian: boolean;
  /** The checksum, on which that of the first frame is based. */
  readonly sum: Sum;
}

/** Returns undefined for a log that SQLite ignores. */
function readHeader(cursor: Cursor): LogHeader | undefined {
  const magic = cursor.u32();
  const version = cursor.u32();
  const pageSize = cursor.u32();
  if ((magic & ~1) >>> 0 !== MAGIC || !isPageSize(pageSize)) {
    return undefined;
  }
  cursor.u32(); // checkpoint number, a counter
  const salts = cursor.u64();
  const littleEndian = (magic & 1) === 0;
  const sum = checksum(cursor.bytes, 0, CHECKED_HEADER_SIZE, littleEndian, [0, 0]);
  if (cursor.u32() !== sum[0] || cursor.u32() !== sum[1]) {
    return undefined;
  }
  if (version !== VERSION) {
    throw cursor.error(`log version ${version}, expected ${VERSION}`, 4);
  }
  return { pageSize, salts, littleEndian, sum };
}

interface Frame {
  readonly page: number;
  /** Offset of the page's content in the log. */
  readonly offset: number;
  /** Size of the database in pages; 0 if the frame does not end a transaction. */
  readonly sizeAfterCommit: number;
  readonly sum: Sum;
}

/**
 * Reads a frame and its page. Returns undefined for a frame that is not valid; those after it are
 * not valid either.
 */
function readFrame(
  cursor: Cursor,
  { pageSize, salts, littleEndian }: LogHeader,
  previousSum: Sum,
): Frame | undefined {
  const start = cursor.offset;
  const page = cursor.u32();
  const sizeAfterCommit = cursor.u32();
  if (page === 0 || cursor.u64() !== salts) {
    return undefined;
  }

  const offset = start + FRAME_HEADER_SIZE;
  const { bytes } = cursor;
  const headSum = checksum(bytes, start, CHECKED_FRAME_SIZE, littleEndian, previousSum);
  const sum = checksum(bytes, offset, pageSize, littleEndian, headSum);
  if (cursor.u32() !== sum[0] || cursor.u32() !== sum[1]) {
    return undefined;
  }
  cursor.take(pageSize);
  return { page, offset, sizeAfterCommit, sum };
}

/** Whether SQLite has pages of this size: a power of two from 512 to 65536. */
export function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65536 && (size & (size - 1)) === 0;
}

/** Sums up pairs of 32-bit words, starting from `start`. */
function checksum(
  bytes: Uint8Array,
  offset: number,
  length: number,
  littleEndian: boolean,
  start: Sum,
): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length);
  let [s0, s1] = start;
  for (let i = 0; i < length; i += 8) {
    s0 = (s0 + view.getUint32(i, littleEndian) + s1) >>> 0;
    s1 = (s1 + view.getUint32(i + 4, littleEndian) + s0) >>> 0;
  }
  return [s0, s1];
}
