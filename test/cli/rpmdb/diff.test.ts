/** `ostrata rpmdb diff` on databases that were made for it, and compared with rpm. */
import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { buildDatabase, type PackageSpec } from '../../support/build-database.js';
import { repoRoot } from '../../support/root.js';
import { ostrata, run, tryOstrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const DAY = 86_400;
const fixtures = join(repoRoot, 'rpmdb-fixtures');

const OLD: readonly PackageSpec[] = [
  { name: 'same', arch: 'x86_64' },
  { name: 'up', arch: 'x86_64', version: '9', changelogTimes: [5 * DAY, 3 * DAY] },
  { name: 'down', arch: 'x86_64', version: '1', changelogTimes: [7 * DAY] },
  { name: 'kernel', arch: 'x86_64', version: '6.1' },
  { name: 'kernel', arch: 'x86_64', version: '6.2' },
  { name: 'moved', arch: 'noarch', version: '1' },
  { name: 'pair', arch: 'i686', version: '1' },
  { name: 'pair', arch: 'x86_64', version: '1' },
  { name: 'gone', arch: 'x86_64' },
  { name: 'gpg-pubkey', version: 'aa' },
];
const NEW: readonly PackageSpec[] = [
  { name: 'same', arch: 'x86_64' },
  {
    name: 'up',
    arch: 'x86_64',
    version: '10',
    changelogTimes: [6, 5, 4, 3, 2].map((d) => d * DAY),
  },
  { name: 'down', arch: 'x86_64', version: '1~rc1' },
  { name: 'kernel', arch: 'x86_64', version: '6.2' },
  { name: 'kernel', arch: 'x86_64', version: '6.3' },
  { name: 'moved', arch: 'x86_64', version: '2' },
  { name: 'pair', arch: 'i686', version: '2' },
  { name: 'pair', arch: 'x86_64', version: '2' },
  { name: 'fresh', arch: 'x86_64' },
  { name: 'gpg-pubkey', version: 'bb' },
];

suite('rpmdb diff', () => {
  let old: string;
  let next: string;

  before(() => {
    const directory = scratchDirectory();
    const write = (name: string, packages: readonly PackageSpec[]) => {
      const file = join(directory, name);
      writeFileSync(file, buildDatabase(packages));
      return file;
    };
    old = write('old.sqlite', OLD);
    next = write('new.sqlite', NEW);
  });

  test('packages of one name and architecture are updates; keys are added and removed', () => {
    const rows = ostrata(['rpmdb', 'diff', old, next])
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows, [
      ['change', 'package', 'old', 'new'],
      ['upgraded', 'kernel.x86_64', '6.1-1', '6.3-1'],
      ['upgraded', 'moved', '1-1.noarch', '2-1.x86_64'],
      ['upgraded', 'pair.i686', '1-1', '2-1'],
      ['upgraded', 'pair.x86_64', '1-1', '2-1'],
      ['upgraded', 'up.x86_64', '9-1', '10-1'],
      ['downgraded', 'down.x86_64', '1-1', '1~rc1-1'],
      ['added', 'fresh.x86_64', '1-1'],
      ['added', 'gpg-pubkey', 'bb-1'],
      ['removed', 'gone.x86_64', '1-1'],
      ['removed', 'gpg-pubkey', 'aa-1'],
      [''],
      ['5 upgraded, 1 downgraded, 2 added, 2 removed; 2 packages unchanged'],
      [''],
    ]);
    assert.equal(
      ostrata(['rpmdb', 'diff', old, old]),
      '0 upgraded, 0 downgraded, 0 added, 0 removed; 10 packages unchanged\n',
    );
  });

  test('entries of the newer changelog that the older one lacks are shown', () => {
    const { upgraded, downgraded } = JSON.parse(
      ostrata(['rpmdb', 'diff', old, next, '--json', '--changelog']),
    ) as Record<string, { name: string; changelog: { time: number }[] }[]>;
    const daysOf = (updates: typeof upgraded, name: string) =>
      updates?.find((update) => update.name === name)?.changelog.map(({ time }) => time / DAY);
    // The entry of day 2 is older than all that the previous version kept.
    assert.deepEqual(daysOf(upgraded, 'up'), [6, 4]);
    assert.deepEqual(daysOf(downgraded, 'down'), [7]);
    assert.match(
      ostrata(['rpmdb', 'diff', old, next, '--changelog']),
      /\n\nup\.x86_64 9-1 -> 10-1\n {2}\* 1970-01-07 \n {2}\n {2}\* 1970-01-05 \n/,
    );
  });

  test('with --repo, what begins with a slash or a transport is no ref', () => {
    const repo = `--repo=${join(fixtures, 'sample/old')}`;
    assert.match(ostrata(['rpmdb', 'diff', repo, 'sample/os', old]), /; 0 packages unchanged\n$/);
    const { status, stderr } = tryOstrata(['rpmdb', 'diff', repo, 'sample/os', 'oci:/none']);
    assert.equal(status, 1);
    assert.match(stderr, /^error: oci:\/none/);
  });

  test('the differences are those between two outputs of rpm', needs('rpm'), () => {
    const nevras = (name: string) => {
      const copy = join(scratchDirectory(), name);
      cpSync(join(fixtures, 'series/rpmdb', name), join(copy, 'rpmdb.sqlite'));
      return new Set(run('rpm', ['--dbpath', copy, '-qa', '--qf=%{NEVRA}\\n']).trim().split('\n'));
    };
    const [before, after] = [nevras('1.sqlite'), nevras('5.sqlite')];
    const series = ['1.sqlite', '5.sqlite'].map((name) => join(fixtures, 'series/rpmdb', name));
    const { added, removed, upgraded, downgraded } = JSON.parse(
      ostrata(['rpmdb', 'diff', ...series, '--json']),
    ) as Record<string, { nevra?: string; from?: string; to?: string }[]>;
    const updates = [...(upgraded ?? []), ...(downgraded ?? [])];
    const gone = [...(removed ?? []).map(({ nevra }) => nevra), ...updates.map(({ from }) => from)];
    const fresh = [...(added ?? []).map(({ nevra }) => nevra), ...updates.map(({ to }) => to)];
    assert.deepEqual(gone.sort(), [...before].filter((each) => !after.has(each)).sort());
    assert.deepEqual(fresh.sort(), [...after].filter((each) => !before.has(each)).sort());
  });
});
