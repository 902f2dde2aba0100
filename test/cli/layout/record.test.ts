/** `ostrata layout record` of what is on this machine, and the file that it adds builds to. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../../src/bytes/json.js';
import { dir, RepoBuilder } from '../../support/build-repo.js';
import { forgePlain } from '../../support/forge-image.js';
import { repoRoot } from '../../support/root.js';
import { ostrata, tryOstrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const RPMDBS = join(repoRoot, 'rpmdb-fixtures/series/rpmdb');
const database = (build: number) => join(RPMDBS, `${build}.sqlite`);

const scratch = scratchDirectory();
const pathOf = (name: string) => join(scratch, name);
const record = (file: string, ...args: readonly string[]) =>
  ostrata(['layout', 'record', `--append=${file}`, ...args]);

const lineSchema = v.looseObject({
  build: v.string(),
  id: v.optional(v.string()),
  date: v.optional(v.string()),
});
function buildsOf(path: string) {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => parseJson(line, lineSchema));
}
const namesOf = (path: string) => buildsOf(path).map(({ build }) => build);

suite('layout record', () => {
  test('adds the RPM databases of a folder, each once, for the same simulation', () => {
    const file = pathOf('rpmdb.jsonl');
    record(file, RPMDBS);
    const bytes = readFileSync(file);
    assert.match(record(file, RPMDBS, database(2)), /\n\n0 builds added to .*, which has 5 now\n$/);
    assert.deepEqual(readFileSync(file), bytes);
    const simulate = (series: string) => ostrata(['layout', 'simulate', series, '--max-layers=5']);
    assert.equal(simulate(file), simulate(RPMDBS));
  });

  test('adds what can be read if a source fails, and what failed later in its place', () => {
    const file = pathOf('failed.jsonl');
    const sources = [database(3), pathOf('missing.sqlite'), database(1)];
    const args = ['layout', 'record', '--json', `--append=${file}`, ...sources];
    const { status, stdout, stderr } = tryOstrata(args);
    assert.equal(status, 1);
    assert.match(stderr, /^error: .*missing\.sqlite: no such file or folder/);
    const schema = v.object({ builds: v.array(v.looseObject({ result: v.string() })) });
    const results = parseJson(stdout, schema).builds.map(({ result }) => result);
    assert.deepEqual(results, ['failed', 'added', 'added']);
    assert.deepEqual(namesOf(file), ['1.sqlite', '3.sqlite']);
    record(file, database(2));
    assert.deepEqual(namesOf(file), ['1.sqlite', '2.sqlite', '3.sqlite']);
  });

  test('adds builds without a date whatever --since says, and all but a dangling link', () => {
    const folder = scratchDirectory();
    copyFileSync(database(1), join(folder, '1.sqlite'));
    symlinkSync('nowhere', join(folder, '2.sqlite'));
    const file = pathOf('since.jsonl');
    const args = ['layout', 'record', `--append=${file}`, '--since=2100-01-01', folder];
    const { status, stderr } = tryOstrata(args);
    assert.equal(status, 1);
    assert.match(stderr, /2\.sqlite/);
    assert.deepEqual(namesOf(file), ['1.sqlite']);
  });

  test('adds a commit and its parents, as far as the repository has them', () => {
    const built = new RepoBuilder('archive', '', scratchDirectory());
    let commit = '0'.repeat(64);
    const commits: string[] = [];
    for (const [i, text] of ['one', 'two', 'three'].entries()) {
      const tree = built.tree(dir({ usr: dir({ file: text }) }));
      commit = built.commit(tree, { parent: commit, timestamp: 1000 + i });
      commits.push(commit);
    }
    const file = pathOf('commits.jsonl');
    const source = `${built.path}:${commit}`;
    record(file, source, '--limit=2');
    assert.deepEqual(
      buildsOf(file).map(({ id }) => id),
      commits.slice(1),
    );
    record(file, commit, `--repo=${built.path}`);
    assert.deepEqual(
      buildsOf(file).map(({ id }) => id),
      commits,
    );
  });

  test('keeps the lines of the file, and leaves nothing else beside it', () => {
    const folder = scratchDirectory();
    const file = join(folder, 'own.jsonl');
    const own = '{"build": "own",   "mine": 1, "components": []}';
    writeFileSync(file, own);
    record(file, database(1));
    assert.equal(readFileSync(file, 'utf8').split('\n')[0], own);
    assert.deepEqual(namesOf(file), ['own', '1.sqlite']);
    assert.deepEqual(readdirSync(folder), ['own.jsonl']);
  });

  test('refuses a file that is no series, naming the line, and leaves it as it is', () => {
    const file = pathOf('damaged.jsonl');
    const text = '{"components":[]}\n{"date":"soon","components":[]}\n';
    writeFileSync(file, text);
    const { status, stderr } = tryOstrata(['layout', 'record', `--append=${file}`, database(1)]);
    assert.equal(status, 1);
    assert.match(stderr, /damaged\.jsonl: line 2: date: expected an ISO 8601 date\n$/);
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  test('refuses JSON that is no series, such as a shard of a simulation', () => {
    const file = pathOf('shard.json');
    const text = '{"simulation":1,"series":[],"outcomes":[]}\n';
    writeFileSync(file, text);
    const { status, stderr } = tryOstrata(['layout', 'record', `--append=${file}`, database(1)]);
    assert.equal(status, 1);
    assert.match(stderr, /shard\.json: line 1: components: /);
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  test('fails before it reads any build if the folder of the file is missing', () => {
    const file = join(scratch, 'missing', 'history.jsonl');
    const sources = [pathOf('missing.sqlite'), database(1)];
    const { status, stderr } = tryOstrata(['layout', 'record', `--append=${file}`, ...sources]);
    assert.equal(status, 1);
    assert.match(stderr, /^error: series .*history\.jsonl: ENOENT/);
  });

  test('leaves out a date of an image that is none, so that the file can be read again', () => {
    const file = pathOf('dates.jsonl');
    const content = readFileSync(database(1));
    const name = 'usr/lib/sysimage/rpm/rpmdb.sqlite';
    const { imgref } = forgePlain([[{ name, type: 'file', content }]], { created: 'yesterday' });
    record(file, imgref);
    assert.match(record(file, imgref), /^present/m);
    assert.equal(buildsOf(file)[0]?.date, undefined);
  });

  test('writes nothing with --dry-run', () => {
    const file = pathOf('dry.jsonl');
    assert.match(
      record(file, RPMDBS, '--dry-run'),
      /5 builds would be added to .*, which has 0\n$/,
    );
    assert.equal(existsSync(file), false);
  });
});
