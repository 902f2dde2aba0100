/** The fixtures (and any `OSTRATA_RPMDB=path`) read side by side with the rpm of this machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
import { needs } from '../../../support/tools.js';

/** What rpm prints of the database in `directory`, read from a copy: it makes files beside it. */
function rpmDump(directory: string): Buffer[] {
  const copy = mkdtempSync(join(tmpdir(), 'ostrata-rpmdb-'));
  try {
    for (const name of readdirSync(directory)) {
      copyFileSync(join(directory, name), join(copy, name));
    }
    const query = ['--dbpath', copy, '-qa', '--qf', DUMP_FORMAT];
    return splitDump(
      execFileSync('rpm', query, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
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

describe('as the rpm of this machine', needs('rpm'), () => {
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
      // rpm falls silent on a backend it was built without; every rpm since 4.16 has sqlite.
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
  return file.endsWith('.sqlite') ? 'sqlite' : file.endsWith('.db') ? 'ndb' : 'bdb';
}
