/**
 * The sqlite backend of rpm (`rpmdb.sqlite`, the default since rpm 4.16): table `Packages(hnum
 * INTEGER PRIMARY KEY, blob BLOB)`. The file format is SQLite's,
 * https://sqlite.org/fileformat2.html, and is read by sql.js (SQLite in WebAssembly) from memory.
 * What sql.js does not do is done here: the write-ahead log is applied, and a rollback journal that
 * still has to be played back is refused.
 */
import type { Database, SqlJsStatic } from 'sql.js';
import { Cursor } from '../../../src/bytes/cursor.js';
import { OstrataError } from '../../../src/errors.js';
import type { Backend, HeaderRecord, WalkReport } from './backend.js';
import { inSqlite, readRows, WHAT } from './sqlite-rows.js';
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
const SAFETY_PRAGMAS =
  'PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON';

/** SQLite, loaded when the first database is opened. */
let engine: Promise<SqlJsStatic> | undefined;

/**
 * Opens the content of an `rpmdb.sqlite` and of the `-wal` and `-journal` files beside it. Throws
 * `CORRUPT`, or `UNSUPPORTED` if the journal still has to be played back.
 */
export async function openSqlite(
  database: Uint8Array,
  wal?: Uint8Array,
  journal?: Uint8Array,
): Promise<Backend> {
  refuseHotJournal(journal);
  const image = (wal && applyWal(database, wal)) ?? database;
  checkImage(image);

  engine ??= import('sql.js').then(({ default: initSqlJs }) => initSqlJs());
  const { Database } = await engine;
  const open = () =>
    new Database(new ReadOnlyFile(image.buffer, image.byteOffset, image.byteLength));
  withDatabase(open, checkSchema);
  return {
    name: 'sqlite',
    records: (report) => walk(open, (db) => readRecords(db, image.length, report)),
  };
}

function refuseHotJournal(journal: Uint8Array | undefined): void {
  if (journal === undefined) {
    return;
  }
  const magic = journal.subarray(0, JOURNAL_MAGIC.length);
  if (Buffer.compare(magic, JOURNAL_MAGIC) === 0) {
    throw new OstrataError(
      'UNSUPPORTED',
      `a rollback journal of ${journal.length} bytes lies beside the database: ` +
        'its last transaction was interrupted; let rpm or sqlite3 open a copy of both once',
    );
  }
}

/** Throws for a truncated file, which SQLite would notice only when it reads the missing pages. */
function checkImage(image: Uint8Array): void {
  const cursor = new Cursor(image, WHAT);
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
  const pages = pagesByHeader(image);
  if (pages * pageSize > image.length) {
    throw cursor.error(
      `${pages} pages of ${pageSize} bytes in ${image.length} bytes: truncated`,
      28,
    );
  }
}

/**
 * The size of the database according to its header. It is 0 if the last writer did not know that
 * field: the change counter at 24 differs from its copy at 92 then.
 */
function pagesByHeader(image: Uint8Array): number {
  const cursor = new Cursor(image, WHAT, 24);
  const changeCounter = cursor.u32();
  const pages = cursor.u32();
  const validFor = cursor.seek(92).u32();
  return changeCounter === validFor ? pages : 0;
}

/**
 * The database in the form in which sql.js's in-memory file system holds it without a copy: that
 * file system calls `slice` on what it is given, and `subarray` to read. SQLite refuses a file
 * whose header says that it has a log if there is no log beside it; since the log has been applied,
 * the header is shown as that of a database without one. SQLite never writes the file
 * (`query_only`).
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

/** Opens the database for one walk, then closes it: what SQLite holds is not garbage-collected. */
function* walk<T>(open: () => Database, rows: (db: Database) => Iterable<T>): Generator<T> {
  const db = inSqlite(open);
  try {
    inSqlite(() => db.run(SAFETY_PRAGMAS));
    yield* rows(db);
  } finally {
    db.close();
  }
}

function withDatabase(open: () => Database, use: (db: Database) => void): void {
  const db = inSqlite(open);
  try {
    inSqlite(() => db.run(SAFETY_PRAGMAS));
    use(db);
  } finally {
    db.close();
  }
}

/**
 * Accepts a plain table only: a view, virtual table or computed column could run forever or make up
 * rows.
 */
function checkSchema(db: Database): void {
  const rows = (query: string) => inSqlite(() => db.exec(query))[0]?.values ?? [];
  const found = rows("SELECT type, rootpage FROM sqlite_schema WHERE name = 'Packages'");
  if (found.length === 0) {
    throw new OstrataError('CORRUPT', `${WHAT}: no table Packages`);
  }
  const [type, rootPage] = found[0] ?? [];
  if (found.length !== 1 || type !== 'table' || !(Number(rootPage) > 0)) {
    throw new OstrataError(
      'CORRUPT',
      `${WHAT}: Packages is a ${type} with root page ${rootPage}, expected a table`,
    );
  }
  const columns = rows("SELECT name, hidden FROM pragma_table_xinfo('Packages')");
  const plain = columns.filter(([, hidden]) => hidden === 0).map(([name]) => name);
  if (!plain.includes('hnum') || !plain.includes('blob') || plain.length !== columns.length) {
    throw new OstrataError('CORRUPT', `${WHAT}: table Packages has no plain columns hnum and blob`);
  }
}

function* readRecords(
  db: Database,
  imageSize: number,
  report: WalkReport,
): Generator<HeaderRecord> {
  // Each blob has its own pages, so all together cannot be larger than the file. This and the order
  // of the rows end a walk over pages that refer to each other in circles.
  let total = 0;
  let previous = 0;
  for (const { number, bytes } of readRows(db, report)) {
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number <= previous) {
      throw new OstrataError('CORRUPT', `${WHAT}: package number ${number} after ${previous}`);
    }
    previous = number;
    if (!(bytes instanceof Uint8Array)) {
      report.damage(
        new OstrataError(
          'CORRUPT',
          `${WHAT}: package ${number}: ${typeof bytes} instead of a blob`,
        ),
      );
      continue;
    }
    total += bytes.length;
    if (total > imageSize) {
      throw new OstrataError(
        'CORRUPT',
        `${WHAT}: ${total} bytes of headers up to package ${number} in a file of ${imageSize}`,
      );
    }
    yield { number, bytes };
  }
}
