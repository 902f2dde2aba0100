/** The fixtures (and any `OSTRATA_RPMDB=path`) read side by side with the rpm of this machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { openRpmdb } from '../../../../plugins/rpm/rpmdb/index.js';
import {
  DUMP_FORMAT,
  dumpPackage,
  firstDifference,
  splitDump,
} from '../../../support/dump-rpmdb.js';
import { discoverFixtures } from '../../../support/rpmdb-fixtures.js';
import { scratchDirectory } from '../../../support/scratch.js';
import { needs } from '../../../support/tools.js';

/**
 * What rpm prints about the database in `directory`. It reads a copy, because it creates files
 * beside it.
 */
function rpmDump(directory: string): Buffer[] {
  const copy = scratchDirectory();
  for (const name of readdirSync(directory)) {
    copyFileSync(join(directory, name), join(copy, name));
  }
  const query = ['--dbpath', copy, '-qa', '--qf', DUMP_FORMAT];
  return splitDump(
    execFileSync('rpm', query, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] }),
  );
}

async function ourDump(database: string): Promise<Buffer[]> {
  const optional = (path: string) => (existsSync(path) ? readFileSync(path) : undefined);
  const db = await openRpmdb({
    database: readFileSync(database),
    wal: optional(`${database}-wal`),
    journal: optional(`${database}-journal`),
  });
  const dump = Array.from(db.packages(), dumpPackage).sort(Buffer.compare);
  return dump;
}

describe('packages are read as the rpm of this machine reads them', needs('rpm'), () => {
  const databases = discoverFixtures().map(({ name, directory, backend }) => ({
    name,
    directory,
    backend,
  }));
  const given = process.env.OSTRATA_RPMDB;
  if (given) {
    databases.push({
      name: given,
      directory: join(given, '..'),
      backend: backendOf(basename(given)),
    });
  }
  for (const { name, directory, backend } of databases) {
    test(name, async (t) => {
      const file = { sqlite: 'rpmdb.sqlite', ndb: 'Packages.db', bdb: 'Packages' }[backend];
      const theirs = rpmDump(directory);
      // rpm prints nothing for a backend that it was built without; every rpm since 4.16 has
      // sqlite.
      if (theirs.length === 0 && backend !== 'sqlite') {
        return t.skip(`this rpm was built without ${backend}`);
      }
      const ours = await ourDump(join(directory, file));
      assert.ok(theirs.length > 0);
      assert.equal(firstDifference(ours, theirs), undefined);
    });
  }
});

function backendOf(file: string): 'sqlite' | 'ndb' | 'bdb' {
  if (file.endsWith('.sqlite')) {
    return 'sqlite';
  }
  return file.endsWith('.db') ? 'ndb' : 'bdb';
}
