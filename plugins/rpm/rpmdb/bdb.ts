/**
 * The bdb backend of rpm (`Packages`, a Berkeley DB hash; the default up to rpm 4.15: EL 5 to 8, Fedora before 33).
 * No spec but libdb's src/dbinc/db_page.h and hash.h. Integers are in the byte order of the host that made the file,
 * told by the magic in its metadata page.
 *
 *   metadata page: 12 u32 magic 0x061561, 16 version, 20 page size, 24 u8 encryption, 25 u8 page type 8, 26 u8 flags,
 *     32 last page, 36 partitions, 72 last bucket, 96 spares[32]
 *   any other page: 8 u32 page number, 16 u32 next page, 20 u16 entries, 22 u16 length (overflow), 25 u8 page type,
 *     26 u16 item offsets[entries]; items lie at the page's end, the first one last
 *   page of bucket b: b + spares[ceil(log2(b + 1))], then along the next pages
 *
 * Items come in pairs: the key, a u32 package number (0 is the counter of numbers), and the header blob: on the page,
 * in a chain of overflow pages, or as a list or tree of duplicates. rpm writes no duplicates; they are read all the same.
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';
import type { Backend, HeaderRecord } from './backend.js';
import { MAX_HEADER_BYTES } from './header.js';

const MAGIC_OFFSET = 12;
const HASH_MAGIC = 0x061561;
const BTREE_MAGIC = 0x053162;
/** Hash versions since Berkeley DB 3.0, which first had this page layout. */
const MIN_VERSION = 7;
const MAX_VERSION = 10;
const METADATA_SIZE = 512;
const SPARES = 32;
const CHECKSUM_FLAG = 1;
const PAGE_HEADER_SIZE = 26;
const WHAT = 'bdb database';

const PageType = {
  INVALID: 0,
  HASH_UNSORTED: 2,
  IBTREE: 3,
  IRECNO: 4,
  LRECNO: 6,
  OVERFLOW: 7,
  HASHMETA: 8,
  LDUP: 12,
  HASH: 13,
};
/** Items of hash pages. */
const ItemType = { KEYDATA: 1, DUPLICATE: 2, OFFPAGE: 3, OFFDUP: 4 };
/** Items of duplicate trees; the top bit marks deleted ones. */
const TreeItemType = { KEYDATA: 1, OVERFLOW: 3, DELETED: 0x80 };

/** How deep a tree of duplicates may be: Berkeley DB's own bound on its levels. */
const MAX_TREE_LEVELS = 255;

/** What a bdb file is by its magic, in either byte order; undefined where it is none. */
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

/** Opens the image of a `Packages` hash. Throws `CORRUPT` or `UNSUPPORTED`. */
export function openBdb(database: Uint8Array): Backend {
  const file = new HashFile(database);
  return { name: 'bdb', records: () => file.records() };
}

interface Page {
  readonly number: number;
  /** Offset in the file. */
  readonly start: number;
  readonly type: number;
  readonly next: number;
  readonly entries: number;
  /** Of an overflow page: bytes of data on it. */
  readonly length: number;
}
/** Where a datum lies: in the file as it is, or in a chain of overflow pages. */
type Location =
  | { readonly start: number; readonly length: number }
  | { readonly page: number; readonly length: number };

class HashFile {
  readonly #bytes: Uint8Array;
  readonly #littleEndian: boolean;
  readonly #pageSize: number;
  readonly #pages: number;
  readonly #lastBucket: number;
  readonly #spares: readonly number[];

  constructor(bytes: Uint8Array) {
    const cursor = new Cursor(bytes, WHAT, MAGIC_OFFSET);
    if (bytes.length < METADATA_SIZE) {
      throw cursor.error(`${bytes.length} bytes, at least ${METADATA_SIZE} expected`, 0);
    }
    const le = cursor.u32(true) === HASH_MAGIC;
    const version = cursor.u32(le);
    const pageSize = cursor.u32(le);
    const encryption = cursor.u8();
    const type = cursor.u8();
    const flags = cursor.u8();
    const lastPage = cursor.seek(32).u32(le);
    const partitions = cursor.u32(le);
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
    if (type !== PageType.HASHMETA) {
      throw cursor.error(`page 0: type ${type}, expected ${PageType.HASHMETA}`, 25);
    }
    if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
      throw cursor.error(`page size ${pageSize}`, 20);
    }
    this.#bytes = bytes;
    this.#littleEndian = le;
    this.#pageSize = pageSize;
    this.#pages = Math.floor(bytes.length / pageSize);
    if (lastPage >= this.#pages) {
      throw cursor.error(
        `last page ${lastPage} of ${pageSize} bytes in ${bytes.length} bytes: truncated`,
        32,
      );
    }
    this.#lastBucket = cursor.seek(72).u32(le);
    if (this.#lastBucket >= this.#pages) {
      throw cursor.error(`last bucket ${this.#lastBucket} in a file of ${this.#pages} pages`, 72);
    }
    cursor.seek(96);
    this.#spares = Array.from({ length: SPARES }, () => cursor.u32(le));
  }

  *records(): Generator<HeaderRecord> {
    const visited = new Visited(this.#pages);
    const found: { readonly number: number; readonly at: Location }[] = [];
    for (let bucket = 0; bucket <= this.#lastBucket; bucket++) {
      for (const page of this.#chain(this.#bucketPage(bucket), visited, [
        PageType.HASH,
        PageType.HASH_UNSORTED,
      ])) {
        for (const [number, at] of this.#pairs(page, visited)) {
          found.push({ number, at });
        }
      }
    }
    // Package number 0 holds the highest number given so far.
    for (const { number, at } of found.sort((a, b) => a.number - b.number)) {
      if (number !== 0) {
        yield { number, bytes: this.#datum(at, number, visited) };
      }
    }
  }

  #bucketPage(bucket: number): number {
    const group = bucket === 0 ? 0 : 32 - Math.clz32(bucket);
    return bucket + (this.#spares[group] as number);
  }

  /** The pages from `number` along their `next`, each at most once in the whole file. */
  *#chain(number: number, visited: Visited, types: readonly number[]): Generator<Page> {
    for (let next = number; next !== 0; ) {
      const page = this.#page(next);
      visited.add(page);
      // A bucket that was never used may be a hole in the file.
      if (page.type === PageType.INVALID && page.entries === 0) {
        return;
      }
      expectType(page, types);
      yield page;
      next = page.next;
    }
  }

  #page(number: number): Page {
    if (number === 0 || number >= this.#pages) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: page ${number} of a file of ${this.#pages} pages`,
      );
    }
    const start = number * this.#pageSize;
    const cursor = new Cursor(this.#bytes, WHAT, start + 16);
    const le = this.#littleEndian;
    const next = cursor.u32(le);
    const entries = cursor.u16(le);
    const length = cursor.u16(le);
    const type = cursor.seek(start + 25).u8();
    return { number, start, type, next, entries, length };
  }

  /** Offset in the file of each item of a page. */
  *#offsets(page: Page): Generator<number> {
    const cursor = new Cursor(this.#bytes, WHAT, page.start + PAGE_HEADER_SIZE);
    const itemsStart = PAGE_HEADER_SIZE + 2 * page.entries;
    if (itemsStart > this.#pageSize) {
      throw corrupt(page, `${page.entries} entries in ${this.#pageSize} bytes`);
    }
    for (let i = 0; i < page.entries; i++) {
      const start = cursor.u16(this.#littleEndian);
      if (start < itemsStart || start >= this.#pageSize) {
        throw corrupt(page, `item ${i} at ${start}, expected ${itemsStart} to ${this.#pageSize}`);
      }
      yield page.start + start;
    }
  }

  /** Offset and end in the file of each item of a hash page: laid out without gaps from the end of the page downwards. */
  *#items(page: Page): Generator<{ readonly start: number; readonly end: number }> {
    let end = page.start + this.#pageSize;
    for (const start of this.#offsets(page)) {
      if (start >= end) {
        throw corrupt(page, `item at ${start - page.start}, expected below ${end - page.start}`);
      }
      yield { start, end };
      end = start;
    }
  }

  /** Package numbers and where their header blobs are. */
  *#pairs(page: Page, visited: Visited): Generator<readonly [number: number, at: Location]> {
    let number: number | undefined;
    for (const { start, end } of this.#items(page)) {
      if (number === undefined) {
        const type = this.#bytes[start];
        if (type !== ItemType.KEYDATA || end - start !== 5) {
          throw corrupt(
            page,
            `key of type ${type} and ${end - start - 1} bytes, expected a package number`,
          );
        }
        number = new Cursor(this.#bytes, WHAT, start + 1).u32(this.#littleEndian);
      } else {
        for (const at of this.#values(page, start, end, visited)) {
          yield [number, at];
        }
        number = undefined;
      }
    }
    if (number !== undefined) {
      throw corrupt(page, `${page.entries} items do not make pairs`);
    }
  }

  #values(page: Page, start: number, end: number, visited: Visited): Iterable<Location> {
    const cursor = new Cursor(this.#bytes.subarray(0, end), WHAT, start);
    const type = cursor.u8();
    const le = this.#littleEndian;
    switch (type) {
      case ItemType.KEYDATA:
        return [{ start: start + 1, length: end - start - 1 }];
      case ItemType.OFFPAGE:
        cursor.take(3);
        return [{ page: cursor.u32(le), length: cursor.u32(le) }];
      case ItemType.DUPLICATE: {
        // Each one between its length and its length again, to walk both ways.
        const values: Location[] = [];
        while (cursor.remaining > 0) {
          const length = cursor.u16(le);
          values.push({ start: cursor.offset, length });
          cursor.take(length);
          cursor.u16(le);
        }
        return values;
      }
      case ItemType.OFFDUP:
        cursor.take(3);
        return this.#duplicateTree(cursor.u32(le), visited);
      default:
        throw corrupt(page, `item of type ${type}`);
    }
  }

  /** Duplicates in a tree of their own: down its left edge, then along the leaves. */
  *#duplicateTree(root: number, visited: Visited): Generator<Location> {
    let page = this.#page(root);
    for (let level = 0; page.type === PageType.IBTREE || page.type === PageType.IRECNO; level++) {
      if (level >= MAX_TREE_LEVELS) {
        throw corrupt(page, `more than ${MAX_TREE_LEVELS} levels`);
      }
      visited.add(page);
      const [first] = this.#offsets(page);
      if (first === undefined) {
        throw corrupt(page, 'inner page without entries');
      }
      const childOffset = page.type === PageType.IBTREE ? 4 : 0;
      page = this.#page(new Cursor(this.#bytes, WHAT, first + childOffset).u32(this.#littleEndian));
    }
    for (const leaf of this.#chain(page.number, visited, [PageType.LDUP, PageType.LRECNO])) {
      for (const start of this.#offsets(leaf)) {
        const cursor = new Cursor(
          this.#bytes.subarray(0, leaf.start + this.#pageSize),
          WHAT,
          start,
        );
        const length = cursor.u16(this.#littleEndian);
        const type = cursor.u8();
        if ((type & TreeItemType.DELETED) !== 0) {
          continue;
        }
        if (type === TreeItemType.KEYDATA) {
          cursor.take(length);
          yield { start: start + 3, length };
        } else if (type === TreeItemType.OVERFLOW) {
          cursor.u8();
          yield { page: cursor.u32(this.#littleEndian), length: cursor.u32(this.#littleEndian) };
        } else {
          throw corrupt(leaf, `duplicate of type ${type}`);
        }
      }
    }
  }

  #datum(at: Location, number: number, visited: Visited): Uint8Array {
    if ('start' in at) {
      return this.#bytes.subarray(at.start, at.start + at.length);
    }
    const what = `${WHAT}: package ${number}`;
    if (at.length > MAX_HEADER_BYTES || at.length > this.#bytes.length) {
      throw new OstrataError(
        'CORRUPT',
        `${what}: ${at.length} bytes in a file of ${this.#bytes.length}`,
      );
    }
    const datum = new Uint8Array(at.length);
    let filled = 0;
    for (const page of this.#chain(at.page, visited, [PageType.OVERFLOW])) {
      if (page.length > this.#pageSize - PAGE_HEADER_SIZE || filled + page.length > at.length) {
        throw corrupt(
          page,
          `package ${number}: ${page.length} bytes after ${filled} of ${at.length}`,
        );
      }
      const start = page.start + PAGE_HEADER_SIZE;
      datum.set(this.#bytes.subarray(start, start + page.length), filled);
      filled += page.length;
    }
    if (filled !== at.length) {
      throw new OstrataError(
        'CORRUPT',
        `${what}: its pages hold ${filled} of ${at.length} bytes (page ${at.page})`,
      );
    }
    return datum;
  }
}

/** Every page belongs to one bucket, tree or overflow chain: chains that share pages or run in circles are errors. */
class Visited {
  readonly #bits: Uint8Array;

  constructor(pages: number) {
    this.#bits = new Uint8Array(Math.ceil(pages / 8));
  }
  add(page: Page): void {
    const byte = page.number >> 3;
    const bit = 1 << (page.number & 7);
    if (((this.#bits[byte] as number) & bit) !== 0) {
      throw corrupt(page, 'is used twice');
    }
    (this.#bits[byte] as number) |= bit;
  }
}

function expectType(page: Page, types: readonly number[]): void {
  if (!types.includes(page.type)) {
    throw corrupt(page, `expected type ${types.join(' or ')}, got ${page.type}`);
  }
}
function corrupt(page: Page, rule: string): OstrataError {
  return new OstrataError(
    'CORRUPT',
    `${WHAT}: page ${page.number}: ${rule} (offset ${page.start})`,
  );
}
function unsupported(what: string): OstrataError {
  return new OstrataError('UNSUPPORTED', `${WHAT}: ${what}`);
}
