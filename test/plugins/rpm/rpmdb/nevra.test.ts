/** Package names with versions, and the order of versions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compareEvr,
  compareVersions,
  formatNevra,
  sourceNameOf,
} from '../../../../plugins/rpm/rpmdb/index.js';
import { run } from '../../../support/run.js';
import { needs } from '../../../support/tools.js';

test('a NEVRA contains epoch and architecture only if the package has them', () => {
  const base = { name: 'a-b', version: '1', release: '2' };
  assert.equal(formatNevra({ ...base, arch: 'noarch' }), 'a-b-1-2.noarch');
  assert.equal(formatNevra({ ...base, epoch: 0, arch: 'x86_64' }), 'a-b-0:1-2.x86_64');
  assert.equal(formatNevra(base), 'a-b-1-2');
});

test('the source name is what precedes version and release', () => {
  assert.equal(sourceNameOf('gcc-toolset-12-12.0-6.el9.src.rpm'), 'gcc-toolset-12');
  assert.equal(sourceNameOf('a-1-2.nosrc.rpm'), 'a');
  assert.equal(sourceNameOf('(none)'), undefined);
  assert.equal(sourceNameOf(''), undefined);
});

test('versions are ordered as rpm orders them', () => {
  const ascending = [
    '~',
    '',
    '1~rc1',
    '1',
    '1^git1',
    '1.a',
    '1.0',
    '1.1',
    '1.1a',
    '1.1.1',
    '1.2',
    '1.10',
    '02.0',
    '2.0.1',
    '10',
  ];
  // From rpm's tests/rpmvercmp.at: equal although written differently.
  for (const [a, b] of [
    ['1.0', '1_0'],
    ['1.01', '1.1'],
    ['2.0.1', '2_0_1'],
    ['1.', '1'],
  ] as const) {
    assert.equal(compareVersions(a, b), 0, `${a} ${b}`);
  }
  for (let i = 0; i < ascending.length; i++) {
    for (let j = 0; j < ascending.length; j++) {
      const [a, b] = [ascending[i] as string, ascending[j] as string];
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} ${b}`);
    }
  }
});

test('random versions are ordered as the installed rpm orders them', needs('rpm'), () => {
  const unit = fc.constantFrom(...'0019ab~^.+');
  const tails = fc.sample(fc.string({ unit, maxLength: 6 }), { numRuns: 500, seed: 1 });
  const versions = tails.map((tail) => `1${tail}`);
  const list = versions.map((version) => `"${version}"`).join(',');
  const loop = 'for i = 2, #v do print(rpm.vercmp(v[i - 1], v[i]), "") end';
  const expected = run('rpm', ['--eval', `%{lua:v = {${list}} ${loop}}`]);
  const ordered = versions.slice(1).map((b, i) => Math.sign(compareVersions(versions[i] ?? '', b)));
  assert.deepEqual(ordered, expected.trim().split(/\s+/).map(Number));
});

test('the epoch counts before the version, and the version before the release', () => {
  const [a, b] = [
    { name: 'a', version: '2', release: '1' },
    { name: 'a', version: '1', release: '9' },
  ];
  assert.ok(compareEvr(a, b) > 0);
  assert.ok(compareEvr(a, { ...b, epoch: 1 }) < 0);
  assert.ok(compareEvr(a, { ...a, release: '2' }) < 0);
  assert.equal(compareEvr(a, { ...a, epoch: 0 }), 0);
});
