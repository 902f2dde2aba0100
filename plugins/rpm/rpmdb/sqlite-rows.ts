/** The rows of table `Packages`, also those behind damaged pages, and the errors of SQLite. */
import type { Database, Statement } from 'sql.js';
import { inContext, OstrataError, wrapError } from '../../../src/errors.js';
import { attempt, type WalkReport } from './backend.js';

/** What errors call the file. */
export const WHAT = 'sqlite database';

const ROWS = 'SELECT rowid, hnum, blob FROM Packages NOT INDEXED WHERE rowid >= ? ORDER BY rowid';
const FIRST_ROW = 'SELECT rowid FROM Packages NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1';
/** More row ids than a damaged page usually hides. */
const SINGLE_STEPS = 1000;
/** Bounds the search for rows in one walk to some seconds. */
const MAX_LOOKUPS = 100_000;

/** A row of the table as SQLite returns it; the types of its values are unchecked. */
interface Row {
  readonly number: unknown;
  readonly bytes: unknown;
}

/**
 * Yields the rows by ascending row id. After damage, it continues with the next row that it can
 * find.
 */
export function* readRows(db: Database, report: WalkReport): Generator<Row> {
  const rows = inSqlite(() => db.prepare(ROWS));
  try {
    const search = new RowSearch(db);
    let start: number | undefined = Number.MIN_SAFE_INTEGER;
    while (start !== undefined) {
      const last: number | undefined = yield* rowsFrom(rows, start, report);
      start = last === undefined ? undefined : search.nextAfter(last);
    }
  } finally {
    rows.free();
  }
}

/**
 * Yields the rows from row id `start` on. Returns undefined at the end of the table; after damage
 * that was reported, the last row id before it.
 */
function* rowsFrom(
  rows: Statement,
  start: number,
  report: WalkReport,
): Generator<Row, number | undefined> {
  inSqlite(() => rows.bind([start]));
  let last = Math.max(start - 1, 0);
  for (;;) {
    const hasRow = attempt(report, () =>
      inContext(`after package ${last}`, () => inSqlite(() => rows.step())),
    );
    if (hasRow === undefined) {
      return last;
    }
    if (!hasRow) {
      return undefined;
    }
    const [rowid, number, bytes] = inSqlite(() => rows.get());
    last = Number(rowid);
    yield { number, bytes };
  }
}

/** Finds the rows that follow damaged pages. */
class RowSearch {
  readonly #db: Database;
  #lookupsLeft = MAX_LOOKUPS;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Returns a row id from which on rows can be read, after the damage that follows row `last`;
   * undefined if there is none.
   */
  nextAfter(last: number): number | undefined {
    const ids = inSqlite(() => this.#db.prepare(FIRST_ROW));
    try {
      return this.#search(ids, last);
    } finally {
      ids.free();
    }
  }

  /**
   * A damaged page of the table cannot say which rows follow it. So row ids are tried one after the
   * other, later in growing steps, and the first one behind the damage is found by bisection.
   */
  #search(ids: Statement, last: number): number | undefined {
    let damaged = last;
    let readable = last + 1;
    let row = this.#firstRow(ids, readable);
    if (typeof row === 'number') {
      return row + 1; // The row after `last` has an id: it is its blob that cannot be read.
    }
    while (row === 'damaged') {
      const distance = readable - last;
      damaged = readable;
      readable += distance < SINGLE_STEPS ? 1 : distance;
      row = this.#firstRow(ids, readable);
    }

    while (readable - damaged > 1) {
      const middle = Math.floor((damaged + readable) / 2);
      const found = this.#firstRow(ids, middle);
      if (found === 'damaged') {
        damaged = middle;
      } else {
        readable = middle;
        row = found;
      }
    }
    return row;
  }

  /** Returns the id of the first row from `start` on; undefined if there is none. */
  #firstRow(ids: Statement, start: number): number | 'damaged' | undefined {
    if (this.#lookupsLeft === 0 || !Number.isSafeInteger(start)) {
      return undefined;
    }
    this.#lookupsLeft--;
    try {
      ids.bind([start]);
      return ids.step() ? Number(ids.get()[0]) : undefined;
    } catch {
      return 'damaged';
    }
  }
}

/** Runs `body`; whatever SQLite throws becomes a `CORRUPT` error. */
export function inSqlite<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw asCorrupt(error);
  }
}

/** SQLite works in memory, so nothing else can fail. */
function asCorrupt(error: unknown): OstrataError {
  if (error instanceof OstrataError) {
    return error;
  }
  return new OstrataError('CORRUPT', wrapError(WHAT, error).message, { cause: error });
}
