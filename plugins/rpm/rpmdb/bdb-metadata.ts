/**
 * The metadata page of a Berkeley DB hash, page 0. It also shows the byte order of the file. Fields
 * by offset, as in DBMETA and HMETA of libdb's src/dbinc/db_page.h:
 *
 *   12 u32 magic 0x061561    24 u8 encryption     32 u32 last page      96 u32 spares[32]
 *   16 u32 version           25 u8 page type 8    36 u32 partitions
 *   20 u32 page size         26 u8 flags          72 u32 last bucket
 *                                                 88 u32 pairs
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';

/** What errors call the file. */
export const WHAT = 'bdb database';

const MAGIC_OFFSET = 12;
const HASH_MAGIC = 0x061561;
const BTREE_MAGIC = 0x053162;
/** Hash versions since Berkeley DB 3.0, which first had this page layout. */
const MIN_VERSION = 7;
const MAX_VERSION = 10;
const METADATA_SIZE = 512;
const METADATA_PAGE_TYPE = 8;
const MIN_PAGE_SIZE = 512;
const MAX_PAGE_SIZE = 65536;
const SPARES = 32;
const CHECKSUM_FLAG = 1;

/**
 * Returns which kind of bdb file this is by its magic, in either byte order; undefined if it is
 * none.
 */
export function detectBdb(database: Uint8Array): 'hash' | 'btree' | undefined {
  if (database.length < MAGIC_OFFSET + 4) {
    return undefined;
  }
  for (const littleEndian of [true, false]) {
    const magic = new Cursor(database, WHAT, MAGIC_OFFSET).u32(littleEndian);
    if (magic === HASH_MAGIC) {
      return 'hash';
    }
    if (magic === BTREE_MAGIC) {
      return 'btree';
    }
  }
  return undefined;
}

/** What is needed to find and read the other pages. */
export interface BdbMetadata {
  readonly littleEndian: boolean;
  readonly pageSize: number;
  readonly lastBucket: number;
  /** How many pairs the file holds; db_load counts keys and values, which is twice as many. */
  readonly pairCount: number;
  readonly spares: readonly number[];
}

/**
 * Reads page 0. Throws `CORRUPT` if it is damaged, `UNSUPPORTED` for files of a kind that rpm does
 * not write.
 */
export function readMetadata(bytes: Uint8Array): BdbMetadata {
  const cursor = new Cursor(bytes, WHAT, MAGIC_OFFSET);
  if (bytes.length < METADATA_SIZE) {
    throw cursor.error(`${bytes.length} bytes, at least ${METADATA_SIZE} expected`, 0);
  }
  const littleEndian = cursor.u32(true) === HASH_MAGIC;
  const version = cursor.u32(littleEndian);
  const pageSize = cursor.u32(littleEndian);
  const encryption = cursor.u8();
  const type = cursor.u8();
  const flags = cursor.u8();
  const lastPage = cursor.seek(32).u32(littleEndian);
  const partitions = cursor.u32(littleEndian);
  const lastBucket = cursor.seek(72).u32(littleEndian);
  const pairCount = cursor.seek(88).u32(littleEndian);
  cursor.seek(96);
  const spares = Array.from({ length: SPARES }, () => cursor.u32(littleEndian));

  checkSupported(version, encryption, flags, partitions);
  if (type !== METADATA_PAGE_TYPE) {
    throw cursor.error(`page 0: type ${type}, expected ${METADATA_PAGE_TYPE}`, 25);
  }
  if (pageSize < MIN_PAGE_SIZE || pageSize > MAX_PAGE_SIZE || !isPowerOfTwo(pageSize)) {
    throw cursor.error(`page size ${pageSize}`, 20);
  }
  const pages = Math.floor(bytes.length / pageSize);
  if (lastPage >= pages) {
    throw cursor.error(
      `last page ${lastPage} of ${pageSize} bytes in ${bytes.length} bytes: truncated`,
      32,
    );
  }
  if (lastBucket >= pages) {
    throw cursor.error(`last bucket ${lastBucket} in a file of ${pages} pages`, 72);
  }
  return { littleEndian, pageSize, lastBucket, pairCount, spares };
}

function checkSupported(
  version: number,
  encryption: number,
  flags: number,
  partitions: number,
): void {
  if (version < MIN_VERSION || version > MAX_VERSION) {
    throw unsupported(`hash version ${version}, supported are ${MIN_VERSION} to ${MAX_VERSION}`);
  }
  if (encryption !== 0) {
    throw unsupported(`encrypted (algorithm ${encryption})`);
  }
  if ((flags & CHECKSUM_FLAG) !== 0) {
    throw unsupported('with page checksums');
  }
  if (partitions !== 0) {
    throw unsupported(`in ${partitions} partitions`);
  }
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0;
}

function unsupported(what: string): OstrataError {
  return new OstrataError('UNSUPPORTED', `${WHAT}: ${what}`);
}
