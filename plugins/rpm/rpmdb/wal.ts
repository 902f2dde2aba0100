/**
 * SQLite's write-ahead log, applied to a database image. Spec:
 * https://sqlite.org/fileformat2.html#the_write_ahead_log
 *
 * Header (32 bytes, big-endian u32s): magic 0x377f0682 or ...83, version 3007000, page size,
 * checkpoint number, salt 1, salt 2, checksum 1, checksum 2. Then frames: u32 page number, u32
 * database size in pages for a commit (else 0), salt 1, salt 2, checksum 1, checksum 2, one page.
 * The magic's lowest bit tells the byte order the checksums are computed in. Frames count up to the
 * last commit whose salts and cumulative checksums are right; what follows is left over from an
 * earlier round of the log, or was never finished.
 */
import { Cursor } from '../../../src/bytes/cursor.js';

const MAGIC = 0x377f0682;
const VERSION = 3007000;
const HEADER_SIZE = 32;
const FRAME_HEADER_SIZE = 24;

/**
 * A copy of `database` with all committed frames of `wal` applied; undefined where the log holds
 * none, as SQLite sees it: an empty log, a header whose checksum is wrong (a reset log), or no
 * complete transaction. Throws `CORRUPT` where the log is valid and cannot belong to this database.
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

interface CommittedFrames {
  readonly pageSize: number;
  /** Size of the database after the last commit. */
  readonly pages: number;
  /** Offset in the log of the newest content of each page, by page number from 1. */
  readonly frames: ReadonlyMap<number, number>;
}

function committedFrames(wal: Uint8Array): CommittedFrames | undefined {
  if (wal.length < HEADER_SIZE) {
    return undefined;
  }
  const cursor = new Cursor(wal, 'sqlite log');
  const magic = cursor.u32();
  const version = cursor.u32();
  const pageSize = cursor.u32();
  if ((magic & ~1) >>> 0 !== MAGIC || !isPageSize(pageSize)) {
    return undefined;
  }
  cursor.u32(); // the checkpoint number only counts
  const salts = cursor.u64();
  const littleEndian = (magic & 1) === 0;
  let sum = checksum(wal, 0, 24, littleEndian, [0, 0]);
  if (cursor.u32() !== sum[0] || cursor.u32() !== sum[1]) {
    return undefined;
  }
  if (version !== VERSION) {
    throw cursor.error(`log version ${version}, expected ${VERSION}`, 4);
  }

  const frames = new Map<number, number>();
  let pending: [page: number, offset: number][] = [];
  let pages = 0;
  while (cursor.remaining >= FRAME_HEADER_SIZE + pageSize) {
    const start = cursor.offset;
    const page = cursor.u32();
    const sizeAfterCommit = cursor.u32();
    if (page === 0 || cursor.u64() !== salts) {
      break;
    }
    sum = checksum(wal, start, 8, littleEndian, sum);
    sum = checksum(wal, start + FRAME_HEADER_SIZE, pageSize, littleEndian, sum);
    if (cursor.u32() !== sum[0] || cursor.u32() !== sum[1]) {
      break;
    }
    pending.push([page, cursor.offset]);
    cursor.take(pageSize);
    if (sizeAfterCommit === 0) {
      continue;
    }
    for (const [number, offset] of pending) {
      frames.set(number, offset);
    }
    pending = [];
    pages = sizeAfterCommit;
  }
  return pages === 0 ? undefined : { pageSize, pages, frames };
}

/** SQLite's page sizes: powers of two from 512 to 65536. */
export function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65536 && (size & (size - 1)) === 0;
}

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
type Sum = readonly [number, number];
