/**
 * The sqlite backend of rpm (`rpmdb.sqlite`, the default since rpm 4.16): table `Packages(hnum INTEGER PRIMARY KEY,
 * blob BLOB)`. The file format is SQLite's, https://sqlite.org/fileformat2.html, and is read by sql.js (SQLite in
 * WebAssembly) from memory. What sql.js does not do is done here: the write-ahead log is applied, and a rollback
 * journal that still has to be played back is refused.
 */
import initSqlJs, { type Database, type SqlJsStatic } from 'sql.js';
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError, wrapError } from '../../../src/errors.js';
import type { Backend, HeaderRecord } from './backend.js';
import { applyWal, isPageSize } from './wal.js';

export const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
const JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex');

/** Offsets in the database header of the versions needed to write and to read: 1 rollback journal, 2 write-ahead log. */
const WRITE_VERSION_OFFSET = 18;
const READ_VERSION_OFFSET = 19;
const ROLLBACK_MODE = 1;
const MIN_FILE_SIZE = 512;

let engine: Promise<SqlJsStatic> | undefined;

/** Opens the image of an `rpmdb.sqlite` and of the `-wal` and `-journal` files beside it. Throws `CORRUPT` or `UNSUPPORTED`. */
export async function openSqlite(database: Uint8Array, wal?: Uint8Array, journal?: Uint8Array): Promise<Backend> {
  if (journal !== undefined && Buffer.compare(journal.subarray(0, JOURNAL_MAGIC.length), JOURNAL_MAGIC) === 0)
    throw new OstrataError(
      'UNSUPPORTED',
      `a rollback journal of ${journal.length} bytes lies beside the database: its last transaction was interrupted; ` +
        'let rpm or sqlite3 open a copy of both once',
    );
  const image = prepareImage(database, wal);
  engine ??= initSqlJs();
  const { Database } = await engine;
  const db = new Database(new Owned(image.buffer, image.byteOffset, image.byteLength));
  try {
    return new SqliteBackend(db, image.length);
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The database as sql.js can read it: log applied, marked as not using one. */
function prepareImage(database: Uint8Array, wal: Uint8Array | undefined): Uint8Array {
  const image = (wal && applyWal(database, wal)) ?? database;
  const cursor = new Cursor(image, 'sqlite database');
  if (image.length < MIN_FILE_SIZE) throw cursor.error(`${image.length} bytes, at least ${MIN_FILE_SIZE} expected`);
  if (Buffer.compare(cursor.take(SQLITE_MAGIC.length), SQLITE_MAGIC) !== 0) throw cursor.error('wrong magic', 0);
  const declared = cursor.u16();
  const pageSize = declared === 1 ? 65536 : declared;
  if (!isPageSize(pageSize)) throw cursor.error(`page size ${declared}`, 16);
  const pages = inHeaderPages(image);
  if (pages * pageSize > image.length)
    throw cursor.error(`${pages} pages of ${pageSize} bytes in ${image.length} bytes: truncated`, 28);
  if (image[WRITE_VERSION_OFFSET] === ROLLBACK_MODE && image[READ_VERSION_OFFSET] === ROLLBACK_MODE) return image;
  // Not slice(): on a Buffer that is a view of the input.
  const copy = image === database ? new Uint8Array(image) : image;
  copy[WRITE_VERSION_OFFSET] = ROLLBACK_MODE;
  copy[READ_VERSION_OFFSET] = ROLLBACK_MODE;
  return copy;
}

/** The database size in its header, which is valid when written by the last writer (change counter at 24, its copy at 92). */
function inHeaderPages(image: Uint8Array): number {
  const changes = new Cursor(image, 'sqlite database', 24).u32();
  const pages = new Cursor(image, 'sqlite database', 28).u32();
  return changes === new Cursor(image, 'sqlite database', 92).u32() ? pages : 0;
}

/**
 * Bytes that sql.js's in-memory file system takes over instead of copying: it calls `slice` on what it is given. Saves a
 * whole copy of the database; safe because the file is never written (`query_only`).
 */
class Owned extends Uint8Array<ArrayBufferLike> {
  override slice(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
    if (start === 0 && end === this.length) return this as Uint8Array<ArrayBufferLike> as Uint8Array<ArrayBuffer>;
    return super.slice(start, end);
  }
}

class SqliteBackend implements Backend {
  readonly name = 'sqlite';
  readonly #db: Database;
  readonly #imageSize: number;

  constructor(db: Database, imageSize: number) {
    this.#db = db;
    this.#imageSize = imageSize;
    try {
      db.run('PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0');
      this.#checkSchema();
    } catch (error) {
      throw asCorrupt(error);
    }
  }

  /** A plain table only: a view, virtual table or computed column could run for ever or make up rows. */
  #checkSchema(): void {
    const found = this.#db.exec("SELECT type, rootpage FROM sqlite_schema WHERE name = 'Packages'")[0]?.values;
    if (found === undefined) throw new OstrataError('CORRUPT', 'sqlite database: no table Packages');
    const [type, rootPage] = found[0] ?? [];
    if (found.length !== 1 || type !== 'table' || !(Number(rootPage) > 0))
      throw new OstrataError(
        'CORRUPT',
        `sqlite database: Packages is a ${type} with root page ${rootPage}, expected a table`,
      );
    const columns = this.#db.exec("SELECT name, hidden FROM pragma_table_xinfo('Packages')")[0]?.values ?? [];
    const plain = columns.filter(([, hidden]) => hidden === 0).map(([name]) => name);
    if (!plain.includes('hnum') || !plain.includes('blob') || plain.length !== columns.length)
      throw new OstrataError('CORRUPT', 'sqlite database: table Packages has no plain columns hnum and blob');
  }

  *records(): Generator<HeaderRecord> {
    // Every blob takes room of its own in the file, so their sum is bounded by it: pages that refer to each other in
    // circles are noticed here, as are rows out of order.
    let total = 0;
    let previous = 0;
    const statement = inSqlite(() => this.#db.prepare('SELECT hnum, blob FROM Packages NOT INDEXED ORDER BY rowid'));
    try {
      while (inSqlite(() => statement.step())) {
        const [number, bytes] = inSqlite(() => statement.get());
        if (typeof number !== 'number' || !Number.isSafeInteger(number) || number <= previous)
          throw new OstrataError('CORRUPT', `sqlite database: package number ${number} after ${previous}`);
        if (!(bytes instanceof Uint8Array))
          throw new OstrataError('CORRUPT', `sqlite database: package ${number}: ${typeof bytes} instead of a blob`);
        previous = number;
        total += bytes.length;
        if (total > this.#imageSize)
          throw new OstrataError(
            'CORRUPT',
            `sqlite database: ${total} bytes of headers up to package ${number} in a file of ${this.#imageSize}`,
          );
        yield { number, bytes };
      }
    } finally {
      statement.free();
    }
  }

  close(): void {
    this.#db.close();
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
  if (error instanceof OstrataError) return error;
  return new OstrataError('CORRUPT', wrapError('sqlite database', error).message, { cause: error });
}
