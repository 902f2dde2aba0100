/** The text files of a policy. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseFileContexts, parseSubstitutions } from '../../src/selinux/file-contexts.js';

const contextsOf = (text: string) => parseFileContexts(Buffer.from(text), 'file_contexts');

test('a line has a pattern, a file type that can be left out, and a label', () => {
  const text = '# comment\n\n  /a.*  --\tone  rest # of the line\r\n /b two\n/c\t-d <<none>>';
  assert.deepEqual(contextsOf(text), [
    { pattern: '/a.*', fileType: 0o100000, label: 'one', origin: 'file_contexts: line 3' },
    { pattern: '/b', fileType: undefined, label: 'two', origin: 'file_contexts: line 4' },
    { pattern: '/c', fileType: 0o040000, label: '<<none>>', origin: 'file_contexts: line 5' },
  ]);
});

suite('a line that libselinux refuses is an error that names the file and the line', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['/b', 'the label is missing'],
    ['/b -x two', 'the file type -x is none of -p -c -d -b -- -l -s'],
    ['/bé two', 'a character is not printable ASCII'],
    ['/b\0 two', 'a character is not printable ASCII'],
  ];
  for (const [line, rule] of refused) {
    test(rule, () => {
      assert.throws(() => contextsOf(`/a one\n${line}\n/c three\n`), {
        code: 'CORRUPT',
        message: `file_contexts: line 2: ${rule}`,
      });
    });
  }
});

test('a line of substitutions has two paths; others are ignored', () => {
  const text = '# comment\n/a /b\n/only\n\t/c\t/d  more\n';
  assert.deepEqual(parseSubstitutions(Buffer.from(text)), [
    { from: '/a', to: '/b' },
    { from: '/c', to: '/d' },
  ]);
});

test('a file with too many lines is refused', () => {
  const contexts = '/a b\n'.repeat(65_537);
  assert.throws(() => contextsOf(contexts), { code: 'LIMIT', message: /^file_contexts: .* 65536/ });
  const substitutions = Buffer.from('/a /b\n'.repeat(1025));
  assert.throws(() => parseSubstitutions(substitutions), { code: 'LIMIT', message: /1024/ });
});
