import { inContext, inContextAsync, OstrataError } from '../../../src/errors.js';
import type { Backend } from './backend.js';
import { detectBdb, openBdb } from './bdb.js';
import { NDB_MAGIC, openNdb } from './ndb.js';
import { RpmPackage } from './package.js';
import { openSqlite, SQLITE_MAGIC } from './sqlite.js';

/** Far above the largest system seen (about 10,000); bounds a hostile database. */
const MAX_PACKAGES = 1_000_000;

/** The files of a package database, whole. They are never written to. */
export interface RpmdbFiles {
  /** `rpmdb.sqlite`, `Packages.db` or `Packages`; recognised by its bytes. */
  readonly database: Uint8Array;
  /** `rpmdb.sqlite-wal`, if it exists: it may hold the newest packages. */
  readonly wal?: Uint8Array | undefined;
  /** `rpmdb.sqlite-journal`, if it exists. */
  readonly journal?: Uint8Array | undefined;
  /** What it is called in errors, e.g. its path. */
  readonly name?: string | undefined;
}

/** An open package database. */
export interface Rpmdb {
  readonly backend: Backend['name'];
  /** All packages, in ascending package number; can be walked any number of times. Throws `CORRUPT` or `LIMIT`, naming the place. */
  packages(): Iterable<RpmPackage>;
}

/** Opens a package database of any backend. Throws `CORRUPT` for what is none or broken, `UNSUPPORTED` for an interrupted one. */
export async function openRpmdb(files: RpmdbFiles): Promise<Rpmdb> {
  const context = `reading rpmdb${files.name === undefined ? '' : ` ${files.name}`}`;
  const backend = await inContextAsync(context, () => openBackend(files));
  return {
    backend: backend.name,
    packages: () => ({ [Symbol.iterator]: () => readPackages(backend, context) }),
  };
}

async function openBackend({ database, wal, journal }: RpmdbFiles): Promise<Backend> {
  if (startsWith(database, SQLITE_MAGIC)) {
    return openSqlite(database, wal, journal);
  }
  if (startsWith(database, NDB_MAGIC)) {
    return openNdb(database);
  }
  const bdb = detectBdb(database);
  if (bdb === 'hash') {
    return openBdb(database);
  }
  if (bdb === 'btree') {
    throw new OstrataError('UNSUPPORTED', 'a bdb tree: rpm keeps packages in a bdb hash');
  }
  if (database.length === 0) {
    throw new OstrataError('CORRUPT', 'the file is empty');
  }
  throw new OstrataError(
    'CORRUPT',
    `neither sqlite, ndb nor bdb: starts with ${hex(database.subarray(0, 16))}`,
  );
}

function* readPackages(backend: Backend, context: string): Generator<RpmPackage> {
  const records = inContext(context, () => backend.records()[Symbol.iterator]());
  try {
    for (let count = 0; ; count++) {
      const next = inContext(context, () => records.next());
      if (next.done) {
        return;
      }
      if (count >= MAX_PACKAGES) {
        throw new OstrataError('LIMIT', `${context}: more than ${MAX_PACKAGES} packages`);
      }
      const { number, bytes } = next.value;
      yield inContext(`${context}: package ${number}`, () => new RpmPackage(number, bytes));
    }
  } finally {
    records.return?.();
  }
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, magic.length), magic) === 0;
}
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
