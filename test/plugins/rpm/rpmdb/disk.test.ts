/** Databases of this machine: how they are found, and that reading leaves no trace. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRpmdbAt } from '../../../../plugins/rpm/rpmdb/index.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';
import { scratchDirectory } from '../../../support/scratch.js';
import { needs } from '../../../support/tools.js';

const fixtures = discoverFixtures();
const fixture = (name: string) => fixtures.find((each) => each.name === name) ?? assert.fail(name);

/** Copies a fixture's database to `path` below a new root folder. */
function rootWith(name: string, path: string): string {
  const root = scratchDirectory();
  cpSync(fixture(name).directory, join(root, path), {
    recursive: true,
    filter: (file) => !file.endsWith('.json'),
  });
  return root;
}
async function nevras(path: string, dbpath?: string): Promise<string[]> {
  return Array.from((await openRpmdbAt(path, dbpath)).packages(), ({ nevra }) => nevra).sort();
}
const expected = (name: string) =>
  fixture(name)
    .expected.map(({ nevra }) => nevra)
    .sort();

for (const { name } of fixtures) {
  test(`${name}: is opened by its root, its folder and its file`, async () => {
    const root = rootWith(name, 'usr/share/rpm');
    mkdirSync(join(root, 'usr/lib/sysimage'), { recursive: true });
    symlinkSync('../../share/rpm', join(root, 'usr/lib/sysimage/rpm'));
    const folder = join(root, 'usr/share/rpm');
    const [file] = readdirSync(folder).filter((each) => !each.includes('-')) as [string];
    symlinkSync(join(folder, file), join(root, 'link'));
    for (const path of [
      root,
      `${root}/`,
      folder,
      join(folder, file),
      join(root, 'link'),
      join(root, 'usr/lib/sysimage/rpm'),
    ]) {
      assert.deepEqual(await nevras(path), expected(name), path);
    }
    assert.deepEqual(await nevras(root, '/usr/share/rpm'), expected(name));
  });
}

test('a device is refused and not read', async () => {
  await assert.rejects(openRpmdbAt('/dev/zero'), {
    code: 'UNSUPPORTED',
    message: /^reading rpmdb \/dev\/zero: neither a file nor a folder/,
  });
});

test('an error names the database that does not exist', async () => {
  const root = scratchDirectory();
  await assert.rejects(openRpmdbAt(root), {
    code: 'NOT_FOUND',
    message: /ostrata-test-.*: no package database/,
  });
  await assert.rejects(openRpmdbAt(root, '/x'), {
    code: 'NOT_FOUND',
    message: /no package database .* in \/x/,
  });
  await assert.rejects(openRpmdbAt(join(root, 'gone')), {
    code: 'NOT_FOUND',
    message: /^reading rpmdb: ENOENT/,
  });
});

/**
 * Everything about the files of a folder that reading could change, but for when they were read.
 */
const snapshot = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => {
      const { ino, size, mtimeNs, ctimeNs, mode, uid } = statSync(join(folder, name), {
        bigint: true,
      });
      return [name, ino, size, mtimeNs, ctimeNs, mode, uid].join();
    });

for (const { name } of fixtures) {
  test(`${name}: reading changes no file and creates none`, async () => {
    const folder = join(rootWith(name, 'db'), 'db');
    const before = snapshot(folder);
    assert.deepEqual(await nevras(folder), expected(name));
    assert.deepEqual(snapshot(folder), before);
  });
}

test(
  'databases on a read-only file system and of other users are read',
  needs('root'),
  async () => {
    const name = 'bookworm-sqlite-wal';
    const root = rootWith(name, 'db');
    const folder = join(root, 'db');
    for (const file of readdirSync(folder)) {
      chownSync(join(folder, file), 4321, 4321);
      chmodSync(join(folder, file), 0o444);
    }
    execFileSync('mount', ['--bind', folder, folder]);
    try {
      execFileSync('mount', ['-o', 'remount,ro,bind', folder]);
      assert.throws(() => writeFileSync(join(folder, 'new'), ''), { code: 'EROFS' });
      assert.deepEqual(await nevras(folder), expected(name));
      const program =
        'import("./plugins/rpm/rpmdb/index.js").then(({openRpmdbAt}) => openRpmdbAt(process.argv[1])).then((db) => console.log([...db.packages()].length))';
      const cwd = join(import.meta.dirname, '../../../..');
      // Without the capabilities by which root ignores permissions. Another user might not reach
      // Node.
      const other = ['--bounding-set=-dac_override,-dac_read_search', process.execPath];
      const output = execFileSync('setpriv', [...other, '-e', program, folder], {
        cwd,
        encoding: 'utf8',
      });
      assert.equal(Number(output), expected(name).length, 'read without being their owner');
    } finally {
      execFileSync('umount', [folder]);
    }
  },
);
