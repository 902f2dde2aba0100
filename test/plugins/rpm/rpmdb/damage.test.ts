/** Damaged databases: the sound packages are found, and none is lost in silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findOwners, openRpmdb, type RpmdbFiles } from '../../../../plugins/rpm/rpmdb/index.js';
import {
  breakFiles,
  breakHeader,
  fixtureOf,
  packagesOf,
} from '../../../support/damage-database.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

/** Reads a database as far as possible. */
async function readDamaged(files: RpmdbFiles) {
  const errors: string[] = [];
  const warnings: string[] = [];
  const db = await openRpmdb(files);
  const onError = ({ message }: Error) => errors.push(message);
  const onWarning = (message: string) => warnings.push(message);
  const packages = [...db.packages({ onError, onWarning })];
  return { db, packages, numbers: packages.map(({ number }) => number), errors, warnings };
}

// The other database of sqlite has its newest packages in the log.
for (const fixture of discoverFixtures().filter(({ name }) => name !== 'bookworm-sqlite-wal')) {
  test(`a damaged header does not hide the other packages: ${fixture.name}`, async () => {
    const files = fixture.read();
    const packages = await packagesOf(fixture);
    for (const pkg of packages) {
      const database = breakHeader(files.database, pkg);
      const { db, numbers, errors } = await readDamaged({ ...files, database });
      const others = packages.filter((other) => other !== pkg);
      assert.deepEqual(
        numbers,
        others.map(({ number }) => number),
        pkg.nevra,
      );
      assert.equal(errors.length, 1, errors.join('\n'));
      const expected = new RegExp(`^reading rpmdb ${fixture.name}: .*package ${pkg.number}: `);
      assert.match(errors[0] ?? '', expected);
      assert.throws(() => [...db.packages()], { message: errors[0] });
    }
  });
}

test('a damaged page of sqlite hides only the packages on it', async () => {
  const fixture = fixtureOf('bookworm-sqlite');
  const files = fixture.read();
  const numbers = (await packagesOf(fixture)).map(({ number }) => number);
  const pageSize = Buffer.from(files.database).readUInt16BE(16);
  let damagedPages = 0;
  const rootOfTable = 1;
  for (let page = rootOfTable + 1; page * pageSize < files.database.length; page++) {
    const database = Uint8Array.from(files.database);
    database.fill(0, page * pageSize, (page + 1) * pageSize);
    const read = await readDamaged({ ...files, database }).catch(() => undefined);
    if (read === undefined || read.errors.length === 0) {
      continue; // A page of the schema or of an index.
    }
    damagedPages++;
    assert.ok(read.numbers.length >= numbers.length - 2, `page ${page}: ${read.errors}`);
    assert.ok(read.numbers.every((number) => numbers.includes(number)));
  }
  assert.ok(damagedPages > 10, `${damagedPages} damaged pages`);
});

test('packages whose files cannot be read do not hide the owners of paths', async () => {
  const fixture = fixtureOf('bullseye-bdb-64k');
  const files = fixture.read();
  const packages = await packagesOf(fixture);
  const [broken, sound] = packages.filter((pkg) => [...pkg.files()].length > 1);
  assert.ok(broken !== undefined && sound !== undefined);
  const paths = [broken, sound].map((pkg) => [...pkg.files()].at(-1)?.path ?? assert.fail());
  const { db } = await readDamaged({ ...files, database: breakFiles(files.database, broken) });
  const lookup = { resolve: () => undefined };

  assert.throws(() => findOwners(db.packages(), lookup, paths), { code: 'CORRUPT' });
  const errors: string[] = [];
  const onError = ({ message }: Error) => errors.push(message);
  const answers = findOwners(db.packages(), lookup, paths, onError);
  assert.deepEqual(
    answers.map(({ owners }) => owners.map(({ nevra }) => nevra)),
    [[], [sound.nevra]],
  );
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', new RegExp(`^package ${broken.nevra}: rpm header: tag 1029: `));
});

for (const fixture of discoverFixtures().filter(({ backend }) => backend === 'bdb')) {
  test(`a page of zeros loses no package in silence: ${fixture.name}`, async () => {
    const files = fixture.read();
    const packages = await packagesOf(fixture);
    const pageSize = bdbPageSize(files.database);
    for (let start = pageSize; start < files.database.length; start += pageSize) {
      const database = Uint8Array.from(files.database).fill(0, start, start + pageSize);
      const { db, numbers, errors } = await readDamaged({ ...files, database });
      assert.ok(numbers.length < packages.length, `offset ${start}`);
      assert.ok(errors.length > 0, `offset ${start}: ${numbers.length} packages, no error`);
      assert.throws(() => [...db.packages()], { code: 'CORRUPT', message: errors[0] });
    }
  });

  test(`entries cut from a hash page lose no package in silence: ${fixture.name}`, async () => {
    const files = fixture.read();
    const packages = await packagesOf(fixture);
    const pageSize = bdbPageSize(files.database);
    let cutPages = 0;
    for (let start = pageSize; start < files.database.length; start += pageSize) {
      const hashPages = [2, 13];
      if (hashPages.includes(files.database[start + 25] ?? 0)) {
        cutPages++;
        const database = Uint8Array.from(files.database).fill(0, start + 20, start + 22);
        const { numbers, errors } = await readDamaged({ ...files, database });
        assert.ok(numbers.length < packages.length && errors.length > 0, `offset ${start}`);
      }
    }
    assert.ok(cutPages > 1);
  });
}

function bdbPageSize(database: Uint8Array): number {
  const view = Buffer.from(database);
  const magic = 0x061561;
  return view.readUInt32LE(12) === magic ? view.readUInt32LE(20) : view.readUInt32BE(20);
}

test('a blob of ndb to which no slot leads is a warning, because rpm does not list it', async () => {
  const fixture = fixtureOf('trixie-ndb');
  const files = fixture.read();
  const packages = await packagesOf(fixture);
  assert.deepEqual((await readDamaged(files)).warnings, []);
  const slotSize = 16;
  for (const { number } of packages) {
    const database = Buffer.from(files.database);
    const slot = Buffer.from('Slot    ');
    slot.writeUInt32LE(number, 4);
    const at = database.indexOf(slot);
    assert.equal(at % slotSize, 0);
    const freeSlot = 0;
    database.writeUInt32LE(freeSlot, at + 8);
    const { numbers, errors, warnings } = await readDamaged({ ...files, database });
    assert.equal(numbers.length, packages.length - 1);
    assert.deepEqual(errors, []);
    assert.deepEqual(warnings, [
      'reading rpmdb trixie-ndb: ndb database: no sound slot leads to the blobs of these ' +
        `packages: ${number}`,
    ]);
  }
});
