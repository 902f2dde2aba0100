/** The pages of a Berkeley DB hash: their types, and checks that all readers of pages need. */
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
}

/** Throws `CORRUPT` unless the page has one of `types`. */
export function expectType(page: Page, types: readonly number[]): void {
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
