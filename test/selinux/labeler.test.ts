/** Which of several file contexts decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFileContexts, parseSubstitutions } from '../../src/selinux/file-contexts.js';
import { Labeler } from '../../src/selinux/labeler.js';

const FILE = 0o100644;
const DIRECTORY = 0o040755;
const SYMLINK = 0o120777;

function labelerOf(contexts: string, ...substitutions: readonly string[]): Labeler {
  return new Labeler(
    parseFileContexts(Buffer.from(contexts), 'file_contexts'),
    substitutions.map((text) => parseSubstitutions(Buffer.from(text))),
  );
}

test('the last pattern that matches decides', () => {
  const labeler = labelerOf('/.* first\n/a(/.*)? second\n/.*b third\n');
  assert.equal(labeler.labelOf('/a/c', FILE), 'second');
  assert.equal(labeler.labelOf('/a/b', FILE), 'third');
  assert.equal(labeler.labelOf('/c', FILE), 'first');
});

test('a single path precedes patterns, wherever it stands', () => {
  const labeler = labelerOf('/a\\.b one\n/a\\.b two\n/.* pattern\n');
  assert.equal(labeler.labelOf('/a.b', FILE), 'two');
  assert.equal(labeler.labelOf('/a\\.b', FILE), 'pattern');
});

test('a context for one file type holds for no other', () => {
  const labeler = labelerOf('/.* all\n/a.* -d folder\n/a -l link\n/a -- file\n');
  assert.equal(labeler.labelOf('/a', DIRECTORY), 'folder');
  assert.equal(labeler.labelOf('/a', SYMLINK), 'link');
  assert.equal(labeler.labelOf('/a', FILE), 'file');
  assert.equal(labeler.labelOf('/ab', FILE), 'all');
  assert.equal(labeler.labelOf('/a', 0), 'file');
});

test('a path gets no label if nothing matches, or if the context is <<none>>', () => {
  const labeler = labelerOf('/a.* one\n/ab.* <<none>>\n/abc.* two\n/ac <<none>>\n');
  assert.equal(labeler.labelOf('/ab', FILE), undefined);
  assert.equal(labeler.labelOf('/abc', FILE), 'two');
  assert.equal(labeler.labelOf('/ac', FILE), undefined);
  assert.equal(labeler.labelOf('/b', FILE), undefined);
});

test('several slashes are one, and one at the end is dropped', () => {
  const labeler = labelerOf('/ root\n/a/b one\n/a/[c] two\n');
  assert.equal(labeler.labelOf('//', DIRECTORY), 'root');
  assert.equal(labeler.labelOf('//a///b/', DIRECTORY), 'one');
  assert.equal(labeler.labelOf('/a/c//', DIRECTORY), 'two');
});

test('a pattern that begins with a folder holds only below it', () => {
  const labeler = labelerOf('/srv/? one\n/a/b/?c|/x two\n');
  assert.equal(labeler.labelOf('/srv', DIRECTORY), undefined);
  assert.equal(labeler.labelOf('/a/b/c', FILE), 'two');
  assert.equal(labeler.labelOf('/a/x', FILE), undefined);
  assert.equal(labeler.labelOf('/a/b/y/x', FILE), 'two');
  assert.equal(labeler.labelOf('/x', FILE), undefined);
});

test('the last substitution that fits is applied once, then one of the distribution', () => {
  const contexts = '/.* other\n/usr/lib(/.*)? lib\n/usr/lib/x x\n/top top\n';
  const local = '/local /usr/lib64\n/root /\n/lib /wrong\n/lib /usr/lib\n';
  const labeler = labelerOf(contexts, local, '/usr/lib64 /usr/lib\n/second /local\n');
  assert.equal(labeler.labelOf('/usr/lib64', DIRECTORY), 'lib');
  assert.equal(labeler.labelOf('/usr/lib64/x', FILE), 'x');
  assert.equal(labeler.labelOf('/local/x', FILE), 'x');
  assert.equal(labeler.labelOf('/lib/x', FILE), 'x');
  assert.equal(labeler.labelOf('/second/x', FILE), 'other');
  assert.equal(labeler.labelOf('/usr/lib640', FILE), 'other');
  assert.equal(labeler.labelOf('/root/top', FILE), 'top');
});

test('a pattern that cannot be translated is an error that names the file and the line', () => {
  assert.throws(() => labelerOf('/a one\n/a(?!b).* two\n'), {
    code: 'UNSUPPORTED',
    message:
      'file_contexts: line 2: pattern /a(?!b).*: ' +
      'a group that begins with (?!b is not supported (offset 6)',
  });
});
