/** Every fixture is read as rpm read it; what every backend guarantees (see backend.ts). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  openRpmdb,
  type RpmFile,
  type RpmPackage,
  Tag,
} from '../../../../plugins/rpm/rpmdb/index.js';
import {
  discoverFixtures,
  type ExpectedFile,
  type ExpectedPackage,
  type ExpectedText,
} from '../../../support/rpmdb-fixtures.js';

const fixtures = discoverFixtures();
const STATES = ['normal', 'replaced', 'not-installed', 'net-shared', 'wrong-color'];

function toExpected(pkg: RpmPackage): ExpectedPackage {
  return {
    nevra: pkg.nevra,
    name: pkg.name,
    epoch: pkg.epoch ?? null,
    version: pkg.version,
    release: pkg.release,
    arch: pkg.arch ?? null,
    sourceRpm: pkg.sourceRpm ?? null,
    size: pkg.size,
    buildTime: pkg.buildTime ?? null,
    installTime: pkg.installTime ?? null,
    modularityLabel: pkg.modularityLabel ?? null,
    digestAlgorithm: pkg.header.number(Tag.FILEDIGESTALGO) ?? null,
    changelogTimes: pkg.changelogTimes,
    files: [...pkg.files()].map(toExpectedFile),
  };
}
function toExpectedFile(file: RpmFile): ExpectedFile {
  return {
    path: text(file.pathBytes),
    size: file.size,
    mode: file.mode,
    digest: file.digest,
    flags: file.flags,
    user: file.user,
    group: file.group,
    linkTo: text(file.linkTo),
    state: STATES.indexOf(file.state),
  };
}
function text(bytes: Uint8Array): ExpectedText {
  const buffer = Buffer.from(bytes);
  const decoded = buffer.toString('utf8');
  return Buffer.from(decoded).equals(buffer) ? decoded : { hex: buffer.toString('hex') };
}
const byNevra = (a: { nevra: string }, b: { nevra: string }) => (a.nevra < b.nevra ? -1 : 1);
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('every backend has fixtures', () => {
  assert.deepEqual(
    new Set(fixtures.map((fixture) => fixture.backend)),
    new Set(['sqlite', 'ndb', 'bdb']),
  );
});

for (const fixture of fixtures) {
  describe(fixture.name, () => {
    test('is read as rpm reads it', async () => {
      const db = await openRpmdb(fixture.read());
      assert.equal(db.backend, fixture.backend);
      assert.deepEqual([...db.packages()].map(toExpected).sort(byNevra), fixture.expected);
    });

    test('packages come in ascending order, in every walk, even after an abandoned one', async () => {
      const db = await openRpmdb(fixture.read());
      const numbers = [...db.packages()].map((pkg) => pkg.number);
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
      );
      assert.equal(new Set(numbers).size, fixture.expected.length);
      for (const pkg of db.packages()) {
        assert.equal(pkg.number, numbers[0]);
        break;
      }
      assert.deepEqual(
        [...db.packages()].map((pkg) => pkg.number),
        numbers,
      );
    });

    test('reading does not change the input', async () => {
      const files = fixture.read();
      const before = [digest(files.database), files.wal && digest(files.wal)];
      const db = await openRpmdb(files);
      for (const pkg of db.packages()) {
        for (const file of pkg.files()) {
          file.pathBytes.fill(0);
        }
      }
      assert.deepEqual([digest(files.database), files.wal && digest(files.wal)], before);
    });

    test('a file that is cut off anywhere is refused with the position', async () => {
      const files = fixture.read();
      for (let part = 0; part < 64; part++) {
        const database = files.database.subarray(
          0,
          Math.floor((files.database.length * part) / 64),
        );
        const readAll = async () => {
          const db = await openRpmdb({ ...files, wal: undefined, database });
          for (const pkg of db.packages()) {
            for (const _ of pkg.files()) {
            }
          }
        };
        await assert.rejects(readAll, (error: { code?: string; message: string }) => {
          assert.equal(error.code, 'CORRUPT', `${part}/64: ${error}`);
          assert.match(error.message, part === 0 ? /the file is empty/ : /\d/);
          assert.ok(error.message.startsWith(`reading rpmdb ${fixture.name}: `), error.message);
          return true;
        });
      }
    });
  });
}

test('a path has text if and only if it is UTF-8', async () => {
  for (const fixture of fixtures) {
    const db = await openRpmdb(fixture.read());
    const latin1 = [...db.packages()].find((pkg) => pkg.name === 'odd-latin1');
    assert.ok(latin1, `${fixture.name} holds odd-latin1`);
    const paths = [...latin1.files()].map((file) => file.path);
    assert.deepEqual(
      paths.filter((path) => path !== undefined),
      ['/usr/share/latin1', '/usr/share/latin1/café', '/usr/share/latin1/link'],
    );
    assert.equal(paths.length, 6);
  }
});
