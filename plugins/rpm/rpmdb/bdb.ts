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
import { attempt, type Backend, type HeaderRecord, type WalkReport } from './backend.js';
import { readMetadata, WHAT } from './bdb-metadata.js';
import {
  corrupt,
  type Item,
  PAGE_HEADER_SIZE,
  type Page,
  PageFile,
  PageType,
  VisitedPages,
} from './bdb-page.js';
import { MAX_HEADER_BYTES } from './header.js';

/** The package number whose value is the highest number given so far. */
const COUNTER = 0;
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
  return { name: 'bdb', records: (report) => file.records(report) };
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

/** What a walk over the file has found so far. */
interface Walk {
  readonly report: WalkReport;
  readonly visited: VisitedPages;
  readonly pairs: Pair[];
  /** How many keys the buckets hold; a key with duplicates has several pairs. */
  keys: number;
}

class HashFile {
  readonly #bytes: Uint8Array;
  readonly #littleEndian: boolean;
  readonly #pageSize: number;
  readonly #pages: PageFile;
  readonly #lastBucket: number;
  readonly #pairCount: number;
  readonly #spares: readonly number[];

  constructor(bytes: Uint8Array) {
    const { littleEndian, pageSize, lastBucket, pairCount, spares } = readMetadata(bytes);
    this.#bytes = bytes;
    this.#littleEndian = littleEndian;
    this.#pageSize = pageSize;
    this.#pages = new PageFile(bytes, littleEndian, pageSize);
    this.#lastBucket = lastBucket;
    this.#pairCount = pairCount;
    this.#spares = spares;
  }

  *records(report: WalkReport): Generator<HeaderRecord> {
    const visited = new VisitedPages(this.#pages.count);
    const walk: Walk = { report, visited, pairs: [], keys: 0 };
    for (let bucket = 0; bucket <= this.#lastBucket; bucket++) {
      attempt(report, () => this.#readBucket(bucket, walk));
    }

    walk.pairs.sort((a, b) => a.number - b.number);
    for (const { number, location } of walk.pairs) {
      if (number === COUNTER) {
        continue;
      }
      const bytes = attempt(report, () => this.#value(location, number, visited));
      if (bytes !== undefined) {
        yield { number, bytes };
      }
    }
    attempt(report, () => this.#pages.checkAllVisited(visited));
    attempt(report, () => this.#checkPairCount(walk.keys));
  }

  /** @param keys the number of keys that were found */
  #checkPairCount(keys: number): void {
    const isByLoad = this.#pairCount === 2 * keys;
    if (this.#pairCount > keys && !isByLoad) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: ${keys} pairs found of ${this.#pairCount} (page 0, offset 88): packages are lost`,
      );
    }
  }

  #readBucket(bucket: number, walk: Walk): void {
    const first = this.#firstPageOf(bucket);
    const types = [PageType.HASH, PageType.HASH_UNSORTED];
    for (const page of this.#pages.chain(first, walk.visited, types)) {
      this.#readPairs(page, walk);
    }
  }

  #readPairs(page: Page, walk: Walk): void {
    const { report } = walk;
    const items: Item[] = [];
    attempt(report, () => {
      for (const item of this.#pages.items(page)) {
        items.push(item);
      }
    });
    if (page.entries % 2 !== 0) {
      report.damage(corrupt(page, `${page.entries} items do not make pairs`));
    }

    for (let i = 0; i < items.length; i += 2) {
      const [key, value] = items.slice(i, i + 2);
      if (key !== undefined && value !== undefined) {
        walk.keys++;
        attempt(report, () => this.#readPair(page, key, value, walk));
      }
    }
  }

  #readPair(page: Page, key: Item, value: Item, { visited, pairs }: Walk): void {
    const number = this.#packageNumber(page, key.start, key.end);
    for (const location of this.#values(page, value.start, value.end, visited)) {
      pairs.push({ number, location });
    }
  }

  #firstPageOf(bucket: number): number {
    const group = bucket === 0 ? 0 : 32 - Math.clz32(bucket);
    return bucket + (this.#spares[group] ?? 0);
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
    for (const leaf of this.#pages.chain(firstLeaf, visited, [PageType.LDUP, PageType.LRECNO])) {
      for (const start of this.#pages.offsets(leaf)) {
        const location = this.#duplicate(leaf, start);
        if (location !== undefined) {
          yield location;
        }
      }
    }
  }

  #firstLeaf(root: number, visited: VisitedPages): number {
    let page = this.#pages.page(root);
    for (let level = 0; page.type === PageType.IBTREE || page.type === PageType.IRECNO; level++) {
      if (level >= MAX_TREE_LEVELS) {
        throw corrupt(page, `more than ${MAX_TREE_LEVELS} levels`);
      }
      visited.add(page);
      const [first] = this.#pages.offsets(page);
      if (first === undefined) {
        throw corrupt(page, 'inner page without entries');
      }
      const childOffset = page.type === PageType.IBTREE ? 4 : 0;
      const cursor = new Cursor(this.#bytes, WHAT, first + childOffset);
      page = this.#pages.page(cursor.u32(this.#littleEndian));
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

    const pages: Page[] = [];
    let held = 0;
    for (const page of this.#pages.chain(location.page, visited, [PageType.OVERFLOW])) {
      if (page.length > this.#pageSize - PAGE_HEADER_SIZE || held + page.length > length) {
        throw corrupt(page, `package ${number}: ${page.length} bytes after ${held} of ${length}`);
      }
      pages.push(page);
      held += page.length;
    }
    if (held !== length) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: package ${number}: ` +
          `its pages hold ${held} of ${length} bytes (page ${location.page})`,
      );
    }
    // Room is made only now: many damaged packages could each claim the size of the file.
    return this.#joined(pages, length);
  }

  #joined(pages: readonly Page[], length: number): Uint8Array {
    const value = new Uint8Array(length);
    let filled = 0;
    for (const page of pages) {
      const start = page.start + PAGE_HEADER_SIZE;
      value.set(this.#bytes.subarray(start, start + page.length), filled);
      filled += page.length;
    }
    return value;
  }
}
