/**
 * Damages the databases of the fixtures and their headers at random and reads everything of them.
 * Each case must end in a value or in one typed error, soon, within a bound of
 * memory. The same seed makes the same cases.
 */
import assert from 'node:assert/strict';
import {
  checkHeaderDigest,
  openRpmdb,
  QueryFormat,
  type RpmdbFiles,
} from '../../../../plugins/rpm/rpmdb/index.js';
import { RpmPackage } from '../../../../plugins/rpm/rpmdb/package.js';
import { OstrataError } from '../../../../src/errors.js';
import { damaged, type Random, randomNumbers } from '../../../support/random-damage.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

/** What bad bytes may end in. */
const ALLOWED_CODES = ['CORRUPT', 'LIMIT', 'UNSUPPORTED'];
/** The slowest sound fixture takes some 10 ms. */
const MAX_MILLISECONDS = 5000;
/** Memory of the whole process: Node, SQLite and several times the largest fixture (315 KB). */
const MAX_RSS = 512 << 20;
/**
 * A header is read 50 times as fast as a database, and most of the parser's code is for headers.
 */
const HEADERS_PER_DATABASE = 3;
const DUMP = new QueryFormat(
  '%{NEVRA} %{SOURCERPM} %{LONGSIZE} [%{CHANGELOGTIME}]' +
    '[%{FILENAMES} %{LONGFILESIZES} %{FILESTATES:fstate}]' +
    '[%{FILECLASS}][%{FILEPROVIDE}][%{FILEREQUIRE}][%{FILENLINKS}][%{ORIGFILENAMES}]' +
    '[%{TRIGGERCONDS}][%{TRIGGERTYPE}][%{FILETRIGGERCONDS}]' +
    '%{HEADERIMMUTABLE:xml}%{RSAHEADER:pgpsig}%{SIGMD5:pgpsig}',
);
const DUMP_AS_JSON = new QueryFormat('[%{*:json}]');

export interface FuzzResult {
  readonly cases: number;
  readonly values: number;
  readonly errors: number;
  readonly slowest: number;
}

/**
 * Runs `cases` cases; an assertion fails with the seed and number of the case that breaks the
 * promise.
 */
export async function fuzz(
  cases: number,
  seed: number,
  onProgress: (done: number) => void = () => {},
): Promise<FuzzResult> {
  const databases = discoverFixtures().map((fixture) => fixture.read());
  const headers: Uint8Array[] = [];
  for (const files of databases) {
    for (const pkg of (await openRpmdb(files)).packages()) {
      headers.push(pkg.header.bytes());
    }
  }
  let values = 0;
  let slowest = 0;
  for (let i = 0; i < cases; i++) {
    const random = randomNumbers(seed + i);
    const start = performance.now();
    const name = `seed ${seed + i}`;
    try {
      await readDamaged(databases, headers, random);
      values++;
    } catch (error) {
      assertAllowed(error, name);
    }
    const milliseconds = performance.now() - start;
    slowest = Math.max(slowest, milliseconds);
    assert.ok(milliseconds < MAX_MILLISECONDS, `${name}: ${milliseconds} ms`);
    if (i % 1000 === 0) {
      assert.ok(
        process.memoryUsage.rss() < MAX_RSS,
        `${name}: ${process.memoryUsage.rss()} bytes of memory`,
      );
      onProgress(i);
    }
  }
  return { cases, values, errors: cases - values, slowest };
}

/** Reads a damaged header or, less often, a damaged database. */
async function readDamaged(
  databases: readonly RpmdbFiles[],
  headers: readonly Uint8Array[],
  random: Random,
): Promise<void> {
  if (random(HEADERS_PER_DATABASE + 1) > 0) {
    const header = headers[random(headers.length)] as Uint8Array;
    readPackage(new RpmPackage(1, damaged(header, random)));
    return;
  }

  const files = databases[random(databases.length)] as RpmdbFiles;
  const isLog = files.wal !== undefined && random(2) === 0;
  const db = await openRpmdb({
    ...files,
    database: isLog ? files.database : damaged(files.database, random),
    wal: isLog ? damaged(files.wal as Uint8Array, random) : files.wal,
  });
  for (const pkg of db.packages()) {
    readPackage(pkg);
  }
}

/** Asserts that a case ended in an error with a code and a short message. */
function assertAllowed(error: unknown, name: string): void {
  assert.ok(
    error instanceof OstrataError && ALLOWED_CODES.includes(error.code),
    `${name}: ${(error as Error).stack}`,
  );
  const { length } = error.message;
  assert.ok(length < 4096, `${name}: a message of ${length} characters`);
}

/** Reads everything that a package offers. */
function readPackage(pkg: RpmPackage): void {
  assert.ok(['right', 'wrong', 'missing'].includes(checkHeaderDigest(pkg.header).state));
  for (const file of pkg.files()) {
    assert.ok(file.pathBytes.length >= 0 && file.linkTo.length >= 0);
    assert.ok(file.path === undefined || file.path.length <= file.pathBytes.length);
  }
  for (const tag of pkg.header.tags()) {
    const type = pkg.header.type(tag) as number;
    if (type >= 1 && type <= 5) {
      pkg.header.numbers(tag);
    } else if (type === 7) {
      pkg.header.binary(tag);
    } else {
      pkg.header.strings(tag);
    }
  }
  assert.equal(typeof DUMP.print(pkg), 'string');
  assert.ok(DUMP_AS_JSON.print(pkg).startsWith('{'));
}
