/** Packages that only got another name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePackages, type InstalledVersion } from '../../src/components/package-changes.js';

interface Package extends InstalledVersion {
  readonly paths: readonly string[];
}

const pkg = (name: string, ...paths: readonly string[]): Package => ({
  ...{ name, arch: 'noarch', evr: '1-1', nevra: `${name}-1-1.noarch`, paths },
});

function compare(old: readonly Package[], next: readonly Package[]) {
  const changes = comparePackages(
    old,
    next,
    () => 0,
    ({ paths }) => paths,
  );
  const names = (list: readonly Package[]) => list.map(({ name }) => name);
  return {
    renamed: changes.renamed.map(({ from, to }) => `${from.name} -> ${to.name}`),
    added: names(changes.added),
    removed: names(changes.removed),
  };
}

test('a package has another name if an added one has more than half of its files', () => {
  const old = [pkg('old', '/a', '/b', '/c'), pkg('other', '/x', '/y')];
  const next = [pkg('new', '/b', '/c', '/d'), pkg('half', '/x')];
  assert.deepEqual(compare(old, next), {
    renamed: ['old -> new'],
    added: ['half'],
    removed: ['other'],
  });
});

test('a package without files is removed, and one takes the place of one only', () => {
  assert.deepEqual(compare([pkg('meta')], [pkg('new', '/a')]).removed, ['meta']);
  const merged = compare([pkg('a', '/a'), pkg('b', '/b')], [pkg('ab', '/a', '/b')]);
  assert.deepEqual(merged, { renamed: ['a -> ab'], added: [], removed: ['b'] });
});
