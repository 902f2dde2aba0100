/** Many patterns are matched at once, in a time that no pattern can make long. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { PatternMatcher } from '../../src/selinux/matcher.js';
import { parsePattern } from '../../src/selinux/pattern.js';
import { Program } from '../../src/selinux/program.js';
import { pick, randomNumbers } from '../support/random-damage.js';

function matcherOf(...patterns: readonly string[]): (text: string) => readonly number[] {
  const program = new Program();
  for (const pattern of patterns) {
    program.add(parsePattern(pattern));
  }
  const matcher = new PatternMatcher(program);
  return (text) => matcher.match(Buffer.from(text));
}

/** Patterns, with texts that match and texts that do not. */
const MATCHES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['/a', ['/a', '/a\n'], ['/', '/ab', 'x/a', '/a\n\n']],
  ['/a.', ['/ab', '/a\n', '/a/'], ['/a', '/abc', '/aé']],
  ['/a..', ['/abc', '/aé'], ['/ab']],
  ['/(a|bc)?', ['/', '/a', '/bc'], ['/b', '/abc']],
  ['/(?:a|)b+', ['/b', '/abb'], ['/a']],
  ['/a{2}b{1,2}c{2,}', ['/aabcc', '/aabbcccc'], ['/abcc', '/aabc', '/aabbbcc']],
  ['/a*?b??', ['/', '/aaab'], ['/abb']],
  ['/a{b{1,', ['/a{b{1,'], ['/ab']],
  ['/[^/]+\\.d', ['/x.d', '/\n.d'], ['/.d', '/x/y.d']],
  ['/[]a-]', ['/]', '/a', '/-'], ['/b']],
  ['/[^]a]', ['/b'], ['/]', '/a']],
  ['/[[:alpha:]_][[:^digit:]]', ['/_a', '/zz'], ['/a1', '/1a']],
  ['/[\\w.-]\\d\\s', ['/.1 ', '/-2\t'], ['/ 1 ', '/.x ']],
  ['/[\\b\\x41\\]]', ['/\b', '/A', '/]'], ['/B', '/\\']],
  ['/\\D\\H', ['/ab'], ['/1b', '/a ']],
  ['/a$|^/b$', ['/a', '/b'], ['/ab']],
  // Without parentheses, only the first alternative is bound to the start, the last to the end.
  ['/a|b|c', ['/a', '/abc', 'xbx', 'xxc'], ['x/a', 'xcx']],
  ['(/a|b)', ['/a', 'b'], ['/ab', 'xb']],
  ['/a\\', ['/a$', '/a$bc'], ['/a', '/a\\']],
];

suite('a pattern matches as PCRE2 has it', () => {
  for (const [pattern, matching, others] of MATCHES) {
    test(pattern, () => {
      const match = matcherOf(pattern);
      const matched = [...matching, ...others].filter((text) => match(text).length > 0);
      assert.deepEqual(matched, matching);
    });
  }
});

test('the patterns that match are listed from the last to the first', () => {
  const match = matcherOf('/.*', '/b', '/a.*', '/a');
  assert.deepEqual(match('/a'), [3, 2, 0]);
  assert.deepEqual(match('/a\n'), [3, 2, 0]);
  assert.deepEqual(match('/c'), [0]);
});

test('a pattern on which backtracking takes forever is matched in one pass', () => {
  const match = matcherOf('/(a+)+', '/(a|aa)*b', '/((a*)*)*c', '(.*/)*(.*/)*(.*/)*d');
  assert.deepEqual(match(`/${'a'.repeat(4000)}`), [0]);
  assert.deepEqual(match(`/${'a'.repeat(4000)}!`), []);
  assert.deepEqual(match(`${'/a'.repeat(2000)}!`), []);
});

test('a pattern with more states than are kept is matched all the same', () => {
  const match = matcherOf('/[ab]*a[ab]{200}', '/b.*');
  const random = randomNumbers(1);
  for (let count = 0; count < 200; count++) {
    const letters = Array.from({ length: 300 }, () => pick(['a', 'b'], random));
    const text = letters.join('');
    const expected = [...(text.startsWith('b') ? [1] : []), ...(text.at(-201) === 'a' ? [0] : [])];
    assert.deepEqual(match(`/${text}`), expected, text);
  }
});

suite('patterns that need too much are refused', () => {
  for (const pattern of ['/((a{1000}){1000}){1000}', '/((((){65535}){65535}){65535})']) {
    test(`if they are repeated too often: ${pattern}`, () => {
      const message = /more than 1048576 instructions/;
      assert.throws(() => matcherOf(pattern), { code: 'LIMIT', message });
    });
  }

  test('if matching them takes too many steps', () => {
    const match = matcherOf('/(.{0,50}){1000}!');
    const message = /takes more than 33554432 steps/;
    assert.throws(() => match('/'.repeat(4000)), { code: 'LIMIT', message });
  });
});
