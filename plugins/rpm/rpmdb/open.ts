/** Opens a package database from its bytes, whatever its format. */
import { inContext, inContextAsync, OstrataError, wrapError } from '../../../src/errors.js';
import { attempt, type Backend, type WalkReport } from './backend.js';
import { openBdb } from './bdb.js';
import { detectBdb } from './bdb-metadata.js';
import { checkHeaderDigest, type HeaderDigest } from './header-digest.js';
import { NDB_MAGIC, openNdb } from './ndb.js';
import { RpmPackage } from './package.js';
import { openSqlite, SQLITE_MAGIC } from './sqlite.js';

/**
 * Far above the largest system seen (about 10,000); bounds a hostile database. Damaged packages
 * count, too.
 */
const MAX_PACKAGES = 1_000_000;
/** How many bytes of an unknown file an error shows. */
const SHOWN_BYTES = 16;

/** The whole content of the files of a package database. It is never written to. */
export interface RpmdbFiles {
  /** `rpmdb.sqlite`, `Packages.db` or `Packages`; recognized by its bytes. */
  readonly database: Uint8Array;
  /** `rpmdb.sqlite-wal`, if it exists: it may hold the newest packages. */
  readonly wal?: Uint8Array | undefined;
  /** `rpmdb.sqlite-journal`, if it exists. */
  readonly journal?: Uint8Array | undefined;
  /** What errors call the database, e.g. its path. */
  readonly name?: string | undefined;
}

/** An open package database. */
export interface Rpmdb {
  readonly backend: Backend['name'];
  /**
   * All packages, in ascending order of package numbers; can be walked any number of times. The
   * walk throws `CORRUPT` or `LIMIT` and names the place if the database is damaged, also if the
   * digest of a header is wrong; with `onError`, it throws only if no more packages can be found.
   */
  packages(options?: PackagesOptions): Iterable<RpmPackage>;
}

/** How packages are walked. */
export interface PackagesOptions {
  /**
   * Called for each damaged package and each damaged part of the database, with the error that the
   * walk would otherwise throw; the walk continues with the next package. A package may still have
   * broken entries, which throw when they are asked for. The function must not throw: to stop at
   * the first damage, leave it out.
   */
  readonly onError?: ((error: OstrataError) => void) | undefined;
  /** Is told of each header that could be read whether its digest is right. */
  readonly onDigest?: ((state: HeaderDigest['state']) => void) | undefined;
  /** Is told what is unusual, although rpm lists no more packages than the walk gives. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Opens a package database of any format. Throws `CORRUPT` if the bytes are not one or are damaged,
 * `UNSUPPORTED` if its last transaction was interrupted or rpm never writes such a file.
 */
export async function openRpmdb(files: RpmdbFiles): Promise<Rpmdb> {
  const context = `reading rpmdb${files.name === undefined ? '' : ` ${files.name}`}`;
  const backend = await inContextAsync(context, () => openBackend(files));
  return {
    backend: backend.name,
    packages: (options = {}) => ({
      [Symbol.iterator]: () => readPackages(backend, context, options),
    }),
  };
}

async function openBackend({ database, wal, journal }: RpmdbFiles): Promise<Backend> {
  if (startsWith(database, SQLITE_MAGIC)) {
    return openSqlite(database, wal, journal);
  }
  if (startsWith(database, NDB_MAGIC)) {
    return openNdb(database);
  }
  switch (detectBdb(database)) {
    case 'hash':
      return openBdb(database);
    case 'btree':
      throw new OstrataError('UNSUPPORTED', 'a bdb tree: rpm keeps packages in a bdb hash');
    default:
      throw notADatabase(database);
  }
}

function notADatabase(bytes: Uint8Array): OstrataError {
  if (bytes.length === 0) {
    return new OstrataError('CORRUPT', 'the file is empty');
  }
  const start = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex');
  return new OstrataError('CORRUPT', `neither sqlite, ndb nor bdb: starts with ${start}`);
}

function* readPackages(
  backend: Backend,
  context: string,
  { onError, onWarning, onDigest }: PackagesOptions,
): Generator<RpmPackage> {
  const countOne = packageCounter();
  const report: WalkReport = {
    damage(error) {
      if (onError === undefined) {
        throw error;
      }
      countOne();
      onError(wrapError(context, error));
    },
    warning(message) {
      onWarning?.(`${context}: ${message}`);
    },
  };
  const records = inContext(context, () => backend.records(report)[Symbol.iterator]());
  try {
    for (;;) {
      const next = inContext(context, () => records.next());
      if (next.done) {
        return;
      }
      inContext(context, countOne);
      const { number, bytes } = next.value;
      const parse = () =>
        inContext(`package ${number}`, () => readPackage(number, bytes, onDigest));
      const pkg = inContext(context, () => attempt(report, parse));
      if (pkg !== undefined) {
        yield pkg;
      }
    }
  } finally {
    records.return?.();
  }
}

/** Throws `CORRUPT` if the digest of the header is wrong. */
function readPackage(
  number: number,
  bytes: Uint8Array,
  onDigest: PackagesOptions['onDigest'],
): RpmPackage {
  const pkg = new RpmPackage(number, bytes);
  const digest = checkHeaderDigest(pkg.header);
  onDigest?.(digest.state);
  if (digest.state === 'wrong') {
    throw new OstrataError('CORRUPT', `${pkg.nevra}: ${digest.message}`);
  }
  return pkg;
}

/** Returns a function that throws `LIMIT` when it is called once too often. */
function packageCounter(): () => void {
  let count = 0;
  return () => {
    count++;
    if (count > MAX_PACKAGES) {
      throw new OstrataError('LIMIT', `more than ${MAX_PACKAGES} packages`);
    }
  };
}

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, magic.length), magic) === 0;
}
