/** Patterns of file contexts: what is refused, and with which message. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.js';
import { parsePattern } from '../../src/selinux/pattern.js';

const REFUSED: readonly (readonly [string, ErrorCode, string])[] = [
  ['/a(b', 'CORRUPT', 'a group is not closed (offset 4)'],
  ['/a)b', 'CORRUPT', 'no group is open here (offset 2)'],
  ['/a[b', 'CORRUPT', 'a bracket expression is not closed (offset 4)'],
  ['/a|*', 'CORRUPT', 'the quantifier * follows nothing that it can repeat (offset 4)'],
  ['/a**', 'CORRUPT', 'the quantifier * follows nothing that it can repeat (offset 4)'],
  ['/a$*', 'CORRUPT', 'the quantifier * follows nothing that it can repeat (offset 4)'],
  ['/a{3,1}', 'CORRUPT', 'the bounds of {3,1} are in the wrong order (offset 7)'],
  ['/a{65536}', 'LIMIT', '{65536} repeats more than 65535 times (offset 9)'],
  ['/[z-a]', 'CORRUPT', 'a range of characters is out of order or ends with a class (offset 5)'],
  ['/[a-\\d]', 'CORRUPT', 'a range of characters is out of order or ends with a class (offset 6)'],
  [
    '/[+-[:alpha:]]',
    'CORRUPT',
    'a range of characters is out of order or ends with a class (offset 13)',
  ],
  ['/[\\d-z]', 'CORRUPT', 'a range of characters begins with a class (offset 4)'],
  ['/[[:alpha:]-z]', 'CORRUPT', 'a range of characters begins with a class (offset 11)'],
  ['/[[:letter:]]', 'CORRUPT', 'there is no character class [:letter:] (offset 12)'],
  ['/[[.a.]]', 'CORRUPT', 'there is no character class [.a.] (offset 7)'],
  ['/[:alpha:]', 'CORRUPT', '[:alpha:] stands outside of a bracket expression (offset 2)'],
  ['/a(?=b)', 'UNSUPPORTED', 'a group that begins with (?=b is not supported (offset 6)'],
  ['/a(?i)b', 'UNSUPPORTED', 'a group that begins with (?i) is not supported (offset 6)'],
  ['/a(*FAIL)', 'UNSUPPORTED', 'a group that begins with (*F is not supported (offset 5)'],
  ['/(a)\\1', 'UNSUPPORTED', 'the escape \\1 is not supported (offset 6)'],
  ['/a\\b', 'UNSUPPORTED', 'the escape \\b is not supported (offset 4)'],
  ['/a*+', 'UNSUPPORTED', 'the possessive quantifier *+ is not supported (offset 4)'],
];

suite('a pattern that cannot be translated is refused', () => {
  for (const [pattern, code, message] of REFUSED) {
    test(pattern, () => {
      assert.throws(() => parsePattern(pattern), {
        name: 'OstrataError',
        code,
        message: `pattern ${pattern}: ${message}`,
      });
    });
  }

  test('if PCRE2 versions disagree about it', () => {
    assert.throws(() => parsePattern('/a{,2}'), { code: 'UNSUPPORTED', message: /PCRE2 10\.43/ });
  });

  test('if it is too long or nested too deep', () => {
    const nested = `${'('.repeat(251)}a${')'.repeat(251)}`;
    assert.throws(() => parsePattern(nested), { code: 'LIMIT', message: /deeper than 250/ });
    const long = `/${'a'.repeat(4095)}`;
    assert.throws(() => parsePattern(long), { code: 'LIMIT', message: /4096 bytes, at most 4095/ });
  });
});
