/**
 * The bdb backend of rpm (`Packages`, a Berkeley DB hash; the default up to rpm 4.15: EL 5 to 8,
 * Fedora before 33). The only specification are the source files src/dbinc/db_page.h and hash.h of
 * libdb. Integers are in the byte order of the host that made the file; the magic in the metadata
 * page shows which.
 *
 *   page 0: metadata, see bdb-metadata.ts
 *   any other page (offset, field):
 *      8 u32 page number      20 u16 entries                     25 u8 page type
 *     16 u32 next page        22 u16 length (overflow pages)     26 u16 item offsets[entries]
 *   Items lie at the end of the page, the first one last.
 *   Bucket b begins on page b + spares[ceil(log2(b + 1))] and goes on along the next pages.
 *
 * Items come in pairs: the key, a u32 package number (0 holds the counter of numbers), and the
 * header blob. The blob lies on the page, in a chain of overflow pages, or in a list or tree of
 * duplicates. rpm writes no duplicates, but they are valid.
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';
import type { Backend, HeaderRecord } from './backend.js';
import { readMetadata, WHAT } from './bdb-metadata.js';
import { corrupt, expectType, type Page, PageType, VisitedPages } from './bdb-page.js';
import { MAX_HEADER_BYTES } from './header.js';

/** The package number whose value is the highest number given so far. */
const COUNTER = 0;
const PAGE_HEADER_SIZE = 26;
/** An item that is a key: its type and a package number. */
const KEY_SIZE = 5;

/** Types of the items of hash pages. */
const ItemType = { KEYDATA: 1, DUPLICATE: 2, OFFPAGE: 3, OFFDUP: 4 };
/** Types of the items of duplicate trees; the top bit marks deleted ones. */
const TreeItemType = { KEYDATA: 1, OVERFLOW: 3, DELETED: 0x80 };

/** Berkeley DB's own bound on the depth of a tree of duplicates. */
const MAX_TREE_LEVELS = 255;

/** Opens the content of a `Packages` hash. Throws `CORRUPT` or `UNSUPPORTED`. */
export function openBdb(database: Uint8Array): Backend {
  const file = new HashFile(database);
  return { name: 'bdb', records: () => file.records() };
}

/** Where the value of a pair lies: in one piece, or in a chain of overflow pages. */
type Location =
  | { readonly start: number; readonly length: number }
  | { readonly page: number; readonly length: number };

/** A package number, and where its header blob lies. */
interface Pair {
  readonly number: number;
  readonly location: Location;
}

class HashFile {
  readonly #bytes: Uint8Array;
  readonly #littleEndian: boolean;
  readonly #pageSize: number;
  readonly #pages: number;
  readonly #lastBucket: number;
  readonly #spares: readonly number[];

  constructor(bytes: Uint8Array) {
    const { littleEndian, pageSize, lastBucket, spares } = readMetadata(bytes);
    this.#bytes = bytes;
    this.#littleEndian = littleEndian;
    this.#pageSize = pageSize;
    this.#pages = Math.floor(bytes.length / pageSize);
    this.#lastBucket = lastBucket;
    this.#spares = spares;
  }

  *records(): Generator<HeaderRecord> {
    const visited = new VisitedPages(this.#pages);
    const pairs: Pair[] = [];
    for (let bucket = 0; bucket <= this.#lastBucket; bucket++) {
      const first = this.#firstPageOf(bucket);
      for (const page of this.#chain(first, visited, [PageType.HASH, PageType.HASH_UNSORTED])) {
        for (const pair of this.#pairs(page, visited)) {
          pairs.push(pair);
        }
      }
    }

    pairs.sort((a, b) => a.number - b.number);
    for (const { number, location } of pairs) {
      if (number !== COUNTER) {
        yield { number, bytes: this.#value(location, number, visited) };
      }
    }
  }

  #firstPageOf(bucket: number): number {
    const group = bucket === 0 ? 0 : 32 - Math.clz32(bucket);
    return bucket + (this.#spares[group] ?? 0);
  }

  /**
   * The pages from `number` on along their `next`; each page can be used only once in the whole
   * file.
   */
  *#chain(number: number, visited: VisitedPages, types: readonly number[]): Generator<Page> {
    for (let next = number; next !== 0; ) {
      const page = this.#page(next);
      visited.add(page);
      // The page of a bucket that was never used may be a hole in the file.
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

  /** The offset in the file of each item of a page. */
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

  /**
   * Offset and end in the file of each item of a hash page. Items have no gaps, from the end of the
   * page downwards.
   */
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

  *#pairs(page: Page, visited: VisitedPages): Generator<Pair> {
    let number: number | undefined;
    for (const { start, end } of this.#items(page)) {
      if (number === undefined) {
        number = this.#packageNumber(page, start, end);
        continue;
      }
      for (const location of this.#values(page, start, end, visited)) {
        yield { number, location };
      }
      number = undefined;
    }
    if (number !== undefined) {
      throw corrupt(page, `${page.entries} items do not make pairs`);
    }
  }

  #packageNumber(page: Page, start: number, end: number): number {
    const cursor = new Cursor(this.#bytes, WHAT, start);
    const type = cursor.u8();
    if (type !== ItemType.KEYDATA || end - start !== KEY_SIZE) {
      throw corrupt(
        page,
        `key of type ${type} and ${end - start - 1} bytes, expected a package number`,
      );
    }
    return cursor.u32(this.#littleEndian);
  }

  /** The locations of the value at `start`: one, or several if it has duplicates. */
  #values(page: Page, start: number, end: number, visited: VisitedPages): Iterable<Location> {
    const cursor = new Cursor(this.#bytes.subarray(0, end), WHAT, start);
    const type = cursor.u8();
    switch (type) {
      case ItemType.KEYDATA:
        return [{ start: start + 1, length: end - start - 1 }];
      case ItemType.OFFPAGE:
        cursor.take(3);
        return [this.#overflowLocation(cursor)];
      case ItemType.DUPLICATE:
        return this.#duplicateList(cursor);
      case ItemType.OFFDUP:
        cursor.take(3);
        return this.#duplicateTree(cursor.u32(this.#littleEndian), visited);
      default:
        throw corrupt(page, `item of type ${type}`);
    }
  }

  #overflowLocation(cursor: Cursor): Location {
    const page = cursor.u32(this.#littleEndian);
    const length = cursor.u32(this.#littleEndian);
    return { page, length };
  }

  /**
   * Each duplicate has its length before and after it, so that the list can be walked both ways.
   */
  #duplicateList(cursor: Cursor): Location[] {
    const values: Location[] = [];
    while (cursor.remaining > 0) {
      const length = cursor.u16(this.#littleEndian);
      values.push({ start: cursor.offset, length });
      cursor.take(length);
      cursor.u16(this.#littleEndian);
    }
    return values;
  }

  /** The duplicates in a tree: down its left edge, then along the leaves. */
  *#duplicateTree(root: number, visited: VisitedPages): Generator<Location> {
    const firstLeaf = this.#firstLeaf(root, visited);
    for (const leaf of this.#chain(firstLeaf, visited, [PageType.LDUP, PageType.LRECNO])) {
      for (const start of this.#offsets(leaf)) {
        const location = this.#duplicate(leaf, start);
        if (location !== undefined) {
          yield location;
        }
      }
    }
  }

  #firstLeaf(root: number, visited: VisitedPages): number {
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
      const cursor = new Cursor(this.#bytes, WHAT, first + childOffset);
      page = this.#page(cursor.u32(this.#littleEndian));
    }
    return page.number;
  }

  /** Undefined for a deleted duplicate. */
  #duplicate(leaf: Page, start: number): Location | undefined {
    const end = leaf.start + this.#pageSize;
    const cursor = new Cursor(this.#bytes.subarray(0, end), WHAT, start);
    const length = cursor.u16(this.#littleEndian);
    const type = cursor.u8();
    if ((type & TreeItemType.DELETED) !== 0) {
      return undefined;
    }
    switch (type) {
      case TreeItemType.KEYDATA:
        cursor.take(length);
        return { start: start + 3, length };
      case TreeItemType.OVERFLOW:
        cursor.u8();
        return this.#overflowLocation(cursor);
      default:
        throw corrupt(leaf, `duplicate of type ${type}`);
    }
  }

  #value(location: Location, number: number, visited: VisitedPages): Uint8Array {
    const { length } = location;
    if ('start' in location) {
      return this.#bytes.subarray(location.start, location.start + length);
    }
    if (length > MAX_HEADER_BYTES || length > this.#bytes.length) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: package ${number}: ${length} bytes in a file of ${this.#bytes.length}`,
      );
    }

    const value = new Uint8Array(length);
    let filled = 0;
    for (const page of this.#chain(location.page, visited, [PageType.OVERFLOW])) {
      if (page.length > this.#pageSize - PAGE_HEADER_SIZE || filled + page.length > length) {
        throw corrupt(page, `package ${number}: ${page.length} bytes after ${filled} of ${length}`);
      }
      const start = page.start + PAGE_HEADER_SIZE;
      value.set(this.#bytes.subarray(start, start + page.length), filled);
      filled += page.length;
    }
    if (filled !== length) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: package ${number}: ` +
          `its pages hold ${filled} of ${length} bytes (page ${location.page})`,
      );
    }
    return value;
  }
}
