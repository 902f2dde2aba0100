/** Capabilities: which ranges of versions overlap. The answers are those of rpm 4.18. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseCapability,
  providesCapability,
  requiresCapability,
  Tag,
  TagType,
} from '../../../../plugins/rpm/rpmdb/index.js';
import { RpmPackage } from '../../../../plugins/rpm/rpmdb/package.js';
import { namedHeader } from '../../../support/build-header.js';

const { STRING_ARRAY, INT32 } = TagType;

function provider(text: string): RpmPackage {
  const { name, sense, evr } = parseCapability(text);
  const header = namedHeader(
    'package',
    [Tag.PROVIDENAME, STRING_ARRAY, [name]],
    [Tag.PROVIDEFLAGS, INT32, [sense]],
    [Tag.PROVIDEVERSION, STRING_ARRAY, [evr]],
  );
  return new RpmPackage(1, header);
}

function requirer(name: string): RpmPackage {
  return new RpmPackage(1, namedHeader('package', [Tag.REQUIRENAME, STRING_ARRAY, [name]]));
}

test('a provided range answers a wanted range if they share a version', () => {
  const cases: readonly (readonly [provided: string, wanted: string, answers: boolean])[] = [
    ['a', 'a', true],
    ['a', 'b', false],
    ['a', 'a > 9', true],
    ['a = 1-2', 'a', true],
    ['a = 1-2', 'a = 1', true],
    ['a = 1', 'a = 1-2', true],
    ['a = 1-2', 'a > 1', false],
    ['a = 1-2', 'a >= 1-3', false],
    ['a = 1-2', 'a >= 1-2', true],
    ['a = 1-2', 'a < 1-10', true],
    ['a = 1:1-2', 'a > 9', true],
    ['a = 0:1-2', 'a = 1-2', true],
    ['a = 1~rc1-1', 'a < 1', true],
    ['a = 1^git1-1', 'a > 1', true],
    ['a < 2', 'a > 1', true],
    ['a < 2', 'a > 2', false],
    ['a <= 2', 'a >= 2', true],
    ['a < 2', 'a < 1', true],
    ['liba.so.1()(64bit)', 'liba.so.1()(64bit)', true],
  ];
  for (const [provided, wanted, answers] of cases) {
    const found = providesCapability(provider(provided), parseCapability(wanted));
    assert.equal(found, answers, `${provided} for ${wanted}`);
  }
});

test('the operands of a rich dependency are required', () => {
  const rich = requirer('((a(x86-64) >= 2 with b) if c else d-e unless (f or g))');
  for (const name of ['a(x86-64)', 'b', 'c', 'd-e', 'f', 'g', 'a(x86-64) = 2']) {
    assert.ok(requiresCapability(rich, parseCapability(name)), name);
  }
  for (const name of ['a', 'if', 'else', '2', 'a(x86-64) < 2', 'd', 'x']) {
    assert.ok(!requiresCapability(rich, parseCapability(name)), name);
  }
});

test('a capability without a name is a usage error', () => {
  assert.throws(() => parseCapability(' '), { code: 'USAGE' });
});
