/**
 * The pages of a Berkeley DB hash: their types, chains and items, and checks that all readers of
 * pages need. The format is described in bdb.ts.
 */
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';
import { WHAT } from './bdb-metadata.js';

/** By the names of libdb's src/dbinc/db_page.h; `INVALID` pages are free. */
export const PageType = {
  INVALID: 0,
  HASH_UNSORTED: 2,
  IBTREE: 3,
  IRECNO: 4,
  LRECNO: 6,
  OVERFLOW: 7,
  LDUP: 12,
  HASH: 13,
};

export const PAGE_HEADER_SIZE = 26;

/** The head of a page. */
export interface Page {
  readonly number: number;
  /** Offset in the file. */
  readonly start: number;
  readonly type: number;
  readonly next: number;
  readonly entries: number;
  /** Bytes of data on an overflow page. */
  readonly length: number;
}

/** Offset and end in the file of an item of a hash page. */
export interface Item {
  readonly start: number;
  readonly end: number;
}

/** The pages of a file. */
export class PageFile {
  /** The number of pages, with the metadata page. */
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #littleEndian: boolean;
  readonly #pageSize: number;

  constructor(bytes: Uint8Array, littleEndian: boolean, pageSize: number) {
    this.count = Math.floor(bytes.length / pageSize);
    this.#bytes = bytes;
    this.#littleEndian = littleEndian;
    this.#pageSize = pageSize;
  }

  /**
   * The pages from `number` on along their `next`; each page can be used only once in the whole
   * file.
   */
  *chain(number: number, visited: VisitedPages, types: readonly number[]): Generator<Page> {
    for (let next = number; next !== 0; ) {
      const page = this.page(next);
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

  /** Throws for a page that is not in the file, and for page 0, which holds the metadata. */
  page(number: number): Page {
    if (number === 0 || number >= this.count) {
      throw new OstrataError('CORRUPT', `${WHAT}: page ${number} of a file of ${this.count} pages`);
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

  /**
   * Throws if a page in use was not visited: what led to it is damaged, and packages are lost. A
   * bucket page of zeros looks like one that was never used.
   */
  checkAllVisited(visited: VisitedPages): void {
    const lost: Page[] = [];
    for (let number = 1; number < this.count; number++) {
      const page = this.page(number);
      if (isInUse(page) && !visited.has(page)) {
        lost.push(page);
      }
    }
    const [first] = lost;
    if (first !== undefined) {
      const rule = `one of ${lost.length} pages to which nothing leads: packages are lost`;
      throw corrupt(first, rule);
    }
  }

  /** The offset in the file of each item of a page. */
  *offsets(page: Page): Generator<number> {
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

  /** The items of a hash page. They have no gaps, from the end of the page downwards. */
  *items(page: Page): Generator<Item> {
    let end = page.start + this.#pageSize;
    for (const start of this.offsets(page)) {
      if (start >= end) {
        throw corrupt(page, `item at ${start - page.start}, expected below ${end - page.start}`);
      }
      yield { start, end };
      end = start;
    }
  }
}

/** Whether a page holds something that a bucket, or a package in a bucket, refers to. */
function isInUse({ type, entries }: Page): boolean {
  const isHash = type === PageType.HASH || type === PageType.HASH_UNSORTED;
  return type === PageType.OVERFLOW || (isHash && entries > 0);
}

/**
 * The pages that were used. Every page belongs to one bucket, tree or overflow chain: chains that
 * share pages or run in circles are errors, and a walk has an end.
 */
export class VisitedPages {
  readonly #bits: Uint8Array;

  constructor(pages: number) {
    this.#bits = new Uint8Array(Math.ceil(pages / 8));
  }

  add(page: Page): void {
    const index = page.number >> 3;
    const bit = 1 << (page.number & 7);
    const byte = this.#bits[index] ?? 0;
    if ((byte & bit) !== 0) {
      throw corrupt(page, 'is used twice');
    }
    this.#bits[index] = byte | bit;
  }

  has(page: Page): boolean {
    const byte = this.#bits[page.number >> 3] ?? 0;
    return (byte & (1 << (page.number & 7))) !== 0;
  }
}

/** Throws `CORRUPT` unless the page has one of `types`. */
function expectType(page: Page, types: readonly number[]): void {
  if (!types.includes(page.type)) {
    throw corrupt(page, `expected type ${types.join(' or ')}, got ${page.type}`);
  }
}

/** Returns an error that names the page and its offset. */
export function corrupt(page: Page, rule: string): OstrataError {
  return new OstrataError(
    'CORRUPT',
    `${WHAT}: page ${page.number}: ${rule} (offset ${page.start})`,
  );
}
