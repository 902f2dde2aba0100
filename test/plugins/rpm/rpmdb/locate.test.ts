/** Where the package database of a tree is found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRpmdb, openTreeRpmdb } from '../../../../plugins/rpm/rpmdb/index.js';
import { FileMap } from '../../../../src/tree/file-map.js';
import type { FileEntry, TreePath } from '../../../../src/tree/tree.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';

const common = { mode: 0, uid: 0, gid: 0, xattrs: new Map(), checksum: '' } as const;
/** Files (of a size), symlinks (to a target), and the directories above them. */
function tree(entries: Readonly<Record<TreePath, number | string>>): FileMap {
  const directories = new Set<TreePath>(['/']);
  for (const path of Object.keys(entries)) {
    for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) {
      directories.add(path.slice(0, at) as TreePath);
    }
  }
  const made = Object.entries(entries).map(([key, value]): FileEntry => {
    const path = key as TreePath;
    if (typeof value === 'string') {
      return { ...common, type: 'symlink', path, size: 0, target: value };
    }
    return { ...common, type: 'file', path, size: value };
  });
  return new FileMap([
    ...made,
    ...[...directories].map((path): FileEntry => ({ ...common, type: 'directory', path })),
  ]);
}

test('the database is found in each usual directory, the newest convention first', () => {
  const all = {
    '/var/lib/rpm/Packages': 1,
    '/usr/share/rpm/Packages.db': 1,
    '/usr/lib/sysimage/rpm/rpmdb.sqlite': 1,
  };
  assert.equal(findRpmdb(tree(all))?.database, '/usr/lib/sysimage/rpm/rpmdb.sqlite');
  for (const path of [
    '/usr/lib/sysimage/rpm/Packages',
    '/usr/share/rpm/rpmdb.sqlite',
    '/var/lib/rpm/Packages.db',
  ] as const) {
    assert.deepEqual(findRpmdb(tree({ [path]: 1 })), {
      database: path,
      wal: undefined,
      journal: undefined,
    });
  }
  assert.equal(findRpmdb(tree({ '/usr/share/other/rpmdb.sqlite': 1 })), undefined);
});

test('symlinked directories lead to one database with its log and journal', () => {
  const files = tree({
    '/usr/lib/sysimage/rpm': '../../share/rpm',
    '/var/lib/rpm': '/usr/lib/sysimage/rpm',
    '/usr/share/rpm/rpmdb.sqlite': 1,
    '/usr/share/rpm/rpmdb.sqlite-wal': 1,
    '/usr/share/rpm/rpmdb.sqlite-journal': 1,
  });
  assert.deepEqual(findRpmdb(files), {
    database: '/usr/share/rpm/rpmdb.sqlite',
    wal: '/usr/share/rpm/rpmdb.sqlite-wal',
    journal: '/usr/share/rpm/rpmdb.sqlite-journal',
  });
  assert.equal(
    findRpmdb(tree({ '/var/lib/rpm': 'rpm', '/usr/share/rpm/Packages': '/nowhere' })),
    undefined,
  );
});

test("rpm-ostree's copy of the base database and empty files count only if there is no other database", () => {
  const base = '/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite';
  assert.equal(findRpmdb(tree({ [base]: 1 }))?.database, base);
  assert.equal(
    findRpmdb(tree({ [base]: 1, '/var/lib/rpm/Packages': 1 }))?.database,
    '/var/lib/rpm/Packages',
  );
  const empty = { '/usr/share/rpm/rpmdb.sqlite': 0, '/usr/share/rpm/Packages': 1 };
  assert.equal(findRpmdb(tree(empty))?.database, '/usr/share/rpm/Packages');
  assert.equal(
    findRpmdb(tree({ '/usr/share/rpm/rpmdb.sqlite': 0 }))?.database,
    '/usr/share/rpm/rpmdb.sqlite',
  );
});

test('if a directory is given, only that one is searched', () => {
  const files = tree({ '/opt/db/Packages': 1, '/usr/share/rpm/rpmdb.sqlite': 1 });
  assert.equal(findRpmdb(files, '/opt/db')?.database, '/opt/db/Packages');
  assert.equal(findRpmdb(files, 'opt/db/')?.database, '/opt/db/Packages');
  assert.equal(findRpmdb(files, '/opt'), undefined);
});

test('the database of a tree is read through its lookup', async () => {
  const [fixture] = discoverFixtures().filter(({ backend }) => backend === 'ndb');
  const database = fixture?.read().database as Uint8Array;
  const files = tree({ '/usr/share/rpm/Packages.db': database.length });
  const opened = await openTreeRpmdb({ name: 'x', files, bytes: async () => database });
  assert.equal(opened.location.database, '/usr/share/rpm/Packages.db');
  assert.equal([...opened.packages()].length, fixture?.expected.length);
  await assert.rejects(openTreeRpmdb({ name: 'x', files: tree({}), bytes: async () => database }), {
    code: 'NOT_FOUND',
    message:
      /^x: no package database \(rpmdb\.sqlite, Packages\.db, Packages\) in any of \/usr\/lib\/sysimage\/rpm, /,
  });
});
