/** `ostrata rpmdb` and the planning of layouts on a database with damaged packages. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import initSqlJs from 'sql.js';
import { type RpmPackage, Tag, TagType } from '../../../plugins/rpm/rpmdb/index.js';
import { databaseOfHeaders } from '../../support/build-database.js';
import { namedHeader } from '../../support/build-header.js';
import {
  breakDigest,
  breakFiles,
  breakHeader,
  fixtureOf,
  packagesOf,
} from '../../support/damage-database.js';
import { ostrata, tryOstrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const linesOf = (text: string) => text.split('\n').filter(Boolean);

suite('a database in which one header and the files of another package are damaged', () => {
  let root: string;
  let dbpath: string;
  let headless: RpmPackage;
  let fileless: RpmPackage;
  let sound: readonly RpmPackage[];

  before(async () => {
    const fixture = fixtureOf('bullseye-bdb-64k');
    const packages = await packagesOf(fixture);
    [headless, fileless] = ['odd', 'long'].map(
      (name) => packages.find((pkg) => pkg.name === name) ?? assert.fail(name),
    ) as [RpmPackage, RpmPackage];
    sound = packages.filter((pkg) => pkg !== headless && pkg !== fileless);
    const { database } = fixture.read();
    root = scratchDirectory();
    const directory = join(root, 'usr/lib/sysimage/rpm');
    mkdirSync(directory, { recursive: true });
    const file = join(directory, 'Packages');
    writeFileSync(file, breakFiles(breakHeader(database, headless), fileless));
    dbpath = `--dbpath=${file}`;
  });

  /** Runs a query; the exit code must be 1, and the damage must be told. */
  const query = (...args: readonly string[]) => {
    const { status, stdout, stderr } = tryOstrata(['rpmdb', ...args, dbpath]);
    assert.equal(status, 1, stderr);
    const lines = linesOf(stderr);
    assert.match(lines.pop() ?? '', /^error: the package database is damaged in [12] places?; /);
    assert.ok(
      lines.every((line) => line.startsWith('warning: ')),
      stderr,
    );
    assert.match(lines[0] ?? '', new RegExp(`package ${headless.number}: rpm header: `));
    return { stdout, warnings: lines };
  };

  test('list prints the others, and so does list with a query format', () => {
    const names = [...sound, fileless].map(({ nevra }) => nevra).sort();
    assert.deepEqual(linesOf(query('list').stdout), names);
    assert.deepEqual(linesOf(query('list', '--qf', '%{NEVRA}\\n').stdout).sort(), names);
  });

  test('--json prints one document, which ends in the error', () => {
    const list = JSON.parse(query('list', '--json').stdout);
    const { error } = list.pop();
    assert.equal(list.length, sound.length + 1);
    assert.equal(error.code, 'CORRUPT');
    assert.match(error.message, /^the package database is damaged in 1 place; /);
    assert.equal(error.details.length, 1);
    assert.match(error.details[0], new RegExp(`package ${headless.number}: rpm header: `));

    const stats = JSON.parse(query('stats', '--json').stdout);
    assert.equal(stats.packages, sound.length);
    assert.equal(stats.error.details.length, 2);

    const fixture = join(fixtureOf('bullseye-bdb-64k').directory, 'Packages');
    const file = dbpath.slice('--dbpath='.length);
    const diff = tryOstrata(['rpmdb', 'diff', fixture, file, '--json']);
    const { removed, error: damage } = JSON.parse(diff.stdout);
    assert.deepEqual([diff.status, removed.length, damage.details.length], [1, 1, 1]);
  });

  test('--ndjson prints each package on a line, and the error on the last one', () => {
    const lines = linesOf(query('list', '--ndjson').stdout).map((line) => JSON.parse(line));
    const { error } = lines.pop();
    assert.equal(error.code, 'CORRUPT');
    const names = [...sound, fileless].map(({ nevra }) => nevra);
    assert.deepEqual(lines.map(({ nevra }) => nevra).sort(), names.sort());
  });

  test('files, info, owner and stats go on after a package with broken entries', () => {
    const other = sound.find((pkg) => [...pkg.files()].length > 1) ?? assert.fail();
    const { stdout, warnings } = query('files', fileless.name, other.name);
    assert.equal(linesOf(stdout).length, [...other.files()].length);
    assert.match(
      warnings[1] ?? '',
      new RegExp(`^warning: package ${fileless.nevra}: rpm header: `),
    );
    assert.equal(warnings.length, 2);

    assert.match(query('info', fileless.name, other.name).stdout, new RegExp(`: ${other.name}\n`));
    const path = [...other.files()].at(-1)?.path ?? assert.fail();
    assert.equal(query('owner', path).stdout, `${other.nevra}\n`);
  });

  test('without damage the exit code is 0', () => {
    const fixture = join(fixtureOf('bullseye-bdb-64k').directory, 'Packages');
    ostrata(['rpmdb', 'list', `--dbpath=${fixture}`]);
  });

  test('a layout is planned without damaged packages only if it is asked for', () => {
    const sources = [[`--root=${root}`], [dbpath.slice('--dbpath='.length)]];
    for (const source of sources) {
      const plan = ['layout', 'plan', ...source, '--json'];
      const strict = tryOstrata(plan);
      assert.deepEqual([strict.status, Object.keys(JSON.parse(strict.stdout))], [1, ['error']]);
      assert.match(strict.stderr, /^error: .*package \S+: rpm header: .*; --skip-damaged-packages/);

      const { status, stdout, stderr } = tryOstrata([...plan, '--skip-damaged-packages']);
      assert.equal(status, 0, stderr);
      assert.equal(linesOf(stderr).filter((line) => line.startsWith('warning: ')).length, 2);
      assert.ok(!stdout.includes(`"${fileless.name}.`));
    }
  });
});

/** Writes a database of sqlite with these headers; the numbers of the packages are their places. */
function writeDatabase(headers: readonly Buffer[]): string {
  const file = join(scratchDirectory(), 'rpmdb.sqlite');
  writeFileSync(file, databaseOfHeaders(headers));
  return `--dbpath=${file}`;
}

test('a build time that no calendar has is printed as its number', () => {
  const buildTime = 9_000_000_000_000n;
  const late = namedHeader('late', [Tag.BUILDTIME, TagType.INT64, [buildTime]]);
  const database = writeDatabase([namedHeader('sound'), late]);
  const info = ostrata(['rpmdb', 'info', database, 'sound', 'late']);
  assert.match(info, /: sound\n[\s\S]*: late\n[\s\S]*: 9000000000000\n/);
  assert.match(ostrata(['rpmdb', 'stats', database]), / 9000000000000\n/);
});

test('control characters of a damaged package do not reach the terminal', () => {
  const badFiles = [
    [Tag.BASENAMES, TagType.STRING_ARRAY, ['a']],
    [Tag.DIRNAMES, TagType.STRING_ARRAY, ['/']],
    [Tag.DIRINDEXES, TagType.INT32, [7]],
  ] as const;
  const database = writeDatabase([namedHeader('a\x1b[31mX', ...badFiles)]);
  const { status, stderr } = tryOstrata(['rpmdb', 'files', database, 'a\x1b[31mX']);
  assert.equal(status, 1);
  assert.match(stderr, /^warning: package a\\u001b\[31mX/);
});

test('what was printed before a database turns out to be unreadable is not lost', async () => {
  const { Database } = await initSqlJs();
  const database = new Database();
  database.run('CREATE TABLE Packages (hnum INTEGER, blob BLOB)');
  for (const [number, name] of [
    [2, 'first'],
    [1, 'second'],
  ] as const) {
    database.run('INSERT INTO Packages VALUES (?, ?)', [number, namedHeader(name)]);
  }
  const file = join(scratchDirectory(), 'rpmdb.sqlite');
  writeFileSync(file, database.export());
  database.close();

  const result = tryOstrata(['rpmdb', 'list', `--dbpath=${file}`, '--qf', '%{NAME}\\n']);
  assert.deepEqual([result.status, result.stdout], [1, 'first\n']);
  assert.match(result.stderr, /^error: reading rpmdb .*: package number 1 after 2\n$/);
});

test('a package whose header has a wrong digest is left out, and stats counts it', async () => {
  const fixture = fixtureOf('bullseye-bdb-64k');
  const packages = await packagesOf(fixture);
  const odd = packages.find(({ name }) => name === 'odd-epoch') ?? assert.fail();
  const file = join(scratchDirectory(), 'Packages');
  writeFileSync(file, breakDigest(fixture.read().database, odd));

  const { status, stdout, stderr } = tryOstrata(['rpmdb', 'stats', '--json', `--dbpath=${file}`]);
  const { packages: count, headerDigests } = JSON.parse(stdout);
  assert.deepEqual([status, count, headerDigests.wrong], [1, packages.length - 1, 1]);
  assert.match(stderr, /^warning: .* odd-epoch-\S+: the sha256 of the header is /);

  const plan = tryOstrata(['layout', 'plan', file, '--json']);
  assert.equal(plan.status, 1);
  assert.match(plan.stderr, /the sha256 of the header is .*; --skip-damaged-packages/);
});
