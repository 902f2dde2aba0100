/**
 * The sqlite backend of rpm (`rpmdb.sqlite`, the default since rpm 4.16): table `Packages(hnum
 * INTEGER PRIMARY KEY, blob BLOB)`. The file format is SQLite's,
 * https://sqlite.org/fileformat2.html, and is read by sql.js (SQLite in WebAssembly) from memory.
 * What sql.js does not do is done here: the write-ahead log is applied, and a rollback journal that
 * still has to be played back is refused.
 */
import type { Database, SqlJsStatic } from 'sql.js';
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError, wrapError } from '../../../src/errors.js';
import type { Backend, HeaderRecord } from './backend.js';
import { applyWal, isPageSize } from './wal.js';

export const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
const JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex');

/**
 * Offsets in the database header of the versions needed to write and to read: 1 rollback journal, 2
 * write-ahead log.
 */
const WRITE_VERSION_OFFSET = 18;
const READ_VERSION_OFFSET = 19;
const ROLLBACK_MODE = 1;
const MIN_FILE_SIZE = 512;

let engine: Promise<SqlJsStatic> | undefined;

/**
 * Opens the image of an `rpmdb.sqlite` and of the `-wal` and `-journal` files beside it. Throws
 * `CORRUPT` or `UNSUPPORTED`.
 */
export async function openSqlite(
  database: Uint8Array,
  wal?: Uint8Array,
  journal?: Uint8Array,
): Promise<Backend> {
  if (
    journal !== undefined &&
    Buffer.compare(journal.subarray(0, JOURNAL_MAGIC.length), JOURNAL_MAGIC) === 0
  ) {
    throw new OstrataError(
      'UNSUPPORTED',
      `a rollback journal of ${journal.length} bytes lies beside the database: its last transaction was interrupted; ` +
        'let rpm or sqlite3 open a copy of both once',
    );
  }
  const image = (wal && applyWal(database, wal)) ?? database;
  checkImage(image);
  engine ??= import('sql.js').then(({ default: initSqlJs }) => initSqlJs());
  const { Database } = await engine;
  const open = () =>
    new Database(new ReadOnlyFile(image.buffer, image.byteOffset, image.byteLength));
  for (const _ of walk(open, checkSchema)) {
  } // what is wrong with it is told now
  return { name: 'sqlite', records: () => walk(open, (db) => readRecords(db, image.length)) };
}

/** What SQLite would not notice before it comes to it: a file that is not whole. */
function checkImage(image: Uint8Array): void {
  const cursor = new Cursor(image, 'sqlite database');
  if (image.length < MIN_FILE_SIZE) {
    throw cursor.error(`${image.length} bytes, at least ${MIN_FILE_SIZE} expected`);
  }
  if (Buffer.compare(cursor.take(SQLITE_MAGIC.length), SQLITE_MAGIC) !== 0) {
    throw cursor.error('wrong magic', 0);
  }
  const declared = cursor.u16();
  const pageSize = declared === 1 ? 65536 : declared;
  if (!isPageSize(pageSize)) {
    throw cursor.error(`page size ${declared}`, 16);
  }
  const pages = inHeaderPages(image);
  if (pages * pageSize > image.length) {
    throw cursor.error(
      `${pages} pages of ${pageSize} bytes in ${image.length} bytes: truncated`,
      28,
    );
  }
}

/**
 * The database size in its header, which is valid when written by the last writer (change counter
 * at 24, its copy at 92).
 */
function inHeaderPages(image: Uint8Array): number {
  const changes = new Cursor(image, 'sqlite database', 24).u32();
  const pages = new Cursor(image, 'sqlite database', 28).u32();
  return changes === new Cursor(image, 'sqlite database', 92).u32() ? pages : 0;
}

/**
 * The image as sql.js's in-memory file system holds it, without a copy. That calls `slice` on what
 * it is given and `subarray` to read. Without a log beside it SQLite refuses a file that says it
 * uses one: what it reads of the header says that none is used, as is true once the log is applied.
 * The file is never written (`query_only`).
 */
class ReadOnlyFile extends Uint8Array<ArrayBufferLike> {
  override slice(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
    if (start === 0 && end === this.length) {
      return this as Uint8Array<ArrayBufferLike> as Uint8Array<ArrayBuffer>;
    }
    return super.slice(start, end);
  }
  override subarray(start = 0, end = this.length): Uint8Array<ArrayBufferLike> {
    const part = new Uint8Array(
      this.buffer,
      this.byteOffset + start,
      Math.min(end, this.length) - start,
    );
    if (start > WRITE_VERSION_OFFSET || end <= READ_VERSION_OFFSET) {
      return part;
    }
    const header = part.slice();
    header[WRITE_VERSION_OFFSET - start] = ROLLBACK_MODE;
    header[READ_VERSION_OFFSET - start] = ROLLBACK_MODE;
    return header;
  }
}

/**
 * Opens the database for one walk and closes it after that: what SQLite holds is not
 * garbage-collected.
 */
function* walk<T>(open: () => Database, rows: (db: Database) => Iterable<T>): Generator<T> {
  const db = inSqlite(open);
  try {
    inSqlite(() =>
      db.run('PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON'),
    );
    yield* rows(db);
  } finally {
    db.close();
  }
}

/**
 * A plain table only: a view, virtual table or computed column could run for ever or make up rows.
 */
function checkSchema(db: Database): [] {
  const rows = (query: string) => inSqlite(() => db.exec(query))[0]?.values ?? [];
  const found = rows("SELECT type, rootpage FROM sqlite_schema WHERE name = 'Packages'");
  if (found.length === 0) {
    throw new OstrataError('CORRUPT', 'sqlite database: no table Packages');
  }
  const [type, rootPage] = found[0] ?? [];
  if (found.length !== 1 || type !== 'table' || !(Number(rootPage) > 0)) {
    throw new OstrataError(
      'CORRUPT',
      `sqlite database: Packages is a ${type} with root page ${rootPage}, expected a table`,
    );
  }
  const columns = rows("SELECT name, hidden FROM pragma_table_xinfo('Packages')");
  const plain = columns.filter(([, hidden]) => hidden === 0).map(([name]) => name);
  if (!plain.includes('hnum') || !plain.includes('blob') || plain.length !== columns.length) {
    throw new OstrataError(
      'CORRUPT',
      'sqlite database: table Packages has no plain columns hnum and blob',
    );
  }
  return [];
}

function* readRecords(db: Database, imageSize: number): Generator<HeaderRecord> {
  // Every blob takes room of its own in the file, so their sum is bounded by it: pages that refer
  // to each other in circles are noticed here, as are rows out of order.
  let total = 0;
  let previous = 0;
  const statement = inSqlite(() =>
    db.prepare('SELECT hnum, blob FROM Packages NOT INDEXED ORDER BY rowid'),
  );
  try {
    while (inSqlite(() => statement.step())) {
      const [number, bytes] = inSqlite(() => statement.get());
      if (typeof number !== 'number' || !Number.isSafeInteger(number) || number <= previous) {
        throw new OstrataError(
          'CORRUPT',
          `sqlite database: package number ${number} after ${previous}`,
        );
      }
      if (!(bytes instanceof Uint8Array)) {
        throw new OstrataError(
          'CORRUPT',
          `sqlite database: package ${number}: ${typeof bytes} instead of a blob`,
        );
      }
      previous = number;
      total += bytes.length;
      if (total > imageSize) {
        throw new OstrataError(
          'CORRUPT',
          `sqlite database: ${total} bytes of headers up to package ${number} in a file of ${imageSize}`,
        );
      }
      yield { number, bytes };
    }
  } finally {
    statement.free();
  }
}

function inSqlite<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw asCorrupt(error);
  }
}

/** What SQLite reports of the bytes it was given is the bytes' fault. */
function asCorrupt(error: unknown): OstrataError {
  if (error instanceof OstrataError) {
    return error;
  }
  return new OstrataError('CORRUPT', wrapError('sqlite database', error).message, { cause: error });
}
