/** Files that are opened as a package database although they are something else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import initSqlJs from 'sql.js';
import { openRpmdb } from '../../../../plugins/rpm/rpmdb/index.js';
import { namedHeader } from '../../../support/build-header.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

const SQL = await initSqlJs();
/** An sqlite database that `script` makes. */
function sqlite(script: string, blobs: readonly Uint8Array[] = []): Uint8Array {
  const db = new SQL.Database();
  db.run(script);
  for (const blob of blobs) {
    db.run('INSERT INTO Packages(blob) VALUES (?)', [blob]);
  }
  const bytes = db.export();
  db.close();
  return bytes;
}
const TABLE = 'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)';
async function names(database: Uint8Array): Promise<string[]> {
  const db = await openRpmdb({ database, name: 'x' });
  return Array.from(db.packages(), (pkg) => pkg.name);
}

test('a database made by sqlite itself is read', async () => {
  assert.deepEqual(await names(sqlite(TABLE, [namedHeader('a'), namedHeader('b')])), ['a', 'b']);
  assert.deepEqual(await names(sqlite(TABLE)), []);
});

test('a file that is not a package database is refused', async () => {
  const refused = (message: RegExp) => ({ code: 'CORRUPT', message });
  await assert.rejects(names(new Uint8Array()), refused(/^reading rpmdb x: the file is empty$/));
  await assert.rejects(
    names(new Uint8Array(8192)),
    refused(/neither sqlite, ndb nor bdb: starts with 0{32}$/),
  );
  await assert.rejects(names(sqlite('CREATE TABLE Name (key TEXT)')), refused(/no table Packages/));
});

test('views and tables with endless or computed rows are refused', async () => {
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)';
  for (const script of [
    `CREATE VIEW Packages AS ${endless} SELECT i AS hnum, zeroblob(9) AS blob FROM n`,
    'CREATE VIRTUAL TABLE Packages USING fts4(hnum, blob)',
    'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB AS (zeroblob(100000000)))',
    'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, other BLOB)',
    'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB) WITHOUT ROWID',
  ]) {
    await assert.rejects(
      names(sqlite(script)),
      { code: 'CORRUPT', message: /Packages|rowid/ },
      script,
    );
  }
});

test('rows that are not packages are refused', async () => {
  const row = (values: string) =>
    sqlite(`CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES (${values})`);
  await assert.rejects(names(row("'1', x'00'")), {
    code: 'CORRUPT',
    message: /package number 1 after 0/,
  });
  await assert.rejects(names(row("0, x'00'")), {
    code: 'CORRUPT',
    message: /package number 0 after 0/,
  });
  await assert.rejects(names(row("1, 'text'")), {
    code: 'CORRUPT',
    message: /package 1: string instead of a blob/,
  });
  await assert.rejects(names(row("1, x''")), {
    code: 'CORRUPT',
    message: /package 1: rpm header: needs 4 bytes/,
  });
});

test('a rollback journal that has to be played back is refused, a finished one is not', async () => {
  const fixture = discoverFixtures().find(({ backend }) => backend === 'sqlite');
  assert.ok(fixture);
  const files = fixture.read();
  const hot = Buffer.concat([Buffer.from('d9d505f920a163d7', 'hex'), Buffer.alloc(504)]);
  await assert.rejects(openRpmdb({ ...files, journal: hot }), {
    code: 'UNSUPPORTED',
    message: /rollback journal of 512/,
  });
  for (const journal of [new Uint8Array(), new Uint8Array(512)]) {
    await openRpmdb({ ...files, journal });
  }
});
