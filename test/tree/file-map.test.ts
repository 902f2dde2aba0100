/** The map of all entries of a tree, and the paths that it resolves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileMap } from '../../src/tree/file-map.js';
import { parentPath } from '../../src/tree/path.js';
import type { FileEntry, TreePath } from '../../src/tree/tree.js';

const common = { mode: 0, uid: 0, gid: 0, xattrs: new Map(), size: 0, checksum: '' } as const;
const file = (path: TreePath): FileEntry => ({ ...common, type: 'file', path });
const directory = (path: TreePath): FileEntry => ({ ...common, type: 'directory', path });
const link = (path: TreePath, target: string): FileEntry => ({
  ...common,
  type: 'symlink',
  path,
  target,
});

test('entries are iterated in byte order of their paths', () => {
  const names = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(names, (some) => {
      const paths = some.map((name): TreePath => `/${name}`);
      const expected = [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(
        [...new FileMap(paths.map(file))].map((entry) => entry.path),
        expected,
      );
    }),
  );
  const astral: TreePath[] = ['/\u{10000}', '/\uffff', '/a'];
  assert.deepEqual(
    [...new FileMap(astral.map(file))].map((entry) => entry.path),
    ['/a', '/\uffff', '/\u{10000}'],
  );
});

test('two entries at one path are refused', () => {
  assert.throws(() => new FileMap([file('/a'), file('/a')]), { code: 'CORRUPT' });
});

test('symlinks above the last component are followed, and the last one on request', () => {
  const files = new FileMap([
    directory('/'),
    directory('/usr'),
    directory('/usr/bin'),
    file('/usr/bin/sh'),
    link('/bin', 'usr/bin'),
    link('/usr/bin/bash', 'sh'),
    link('/usr/abs', '/bin/../bin//sh'),
    link('/usr/up', '../../../bin'),
    link('/loop', 'loop'),
    link('/gone', 'nowhere'),
  ]);
  const resolved = (path: string, last = false) => files.resolve(path, last)?.path;
  assert.equal(resolved('/bin/sh'), '/usr/bin/sh');
  assert.equal(resolved('/bin'), '/bin');
  assert.equal(resolved('/bin', true), '/usr/bin');
  assert.equal(resolved('/bin/bash'), '/usr/bin/bash');
  assert.equal(resolved('/bin/bash', true), '/usr/bin/sh');
  assert.equal(resolved('/usr/abs', true), '/usr/bin/sh');
  assert.equal(resolved('/usr/up/sh'), '/usr/bin/sh');
  assert.equal(resolved('/'), '/');
  assert.equal(resolved('/..'), '/');
  assert.equal(resolved('/loop', true), undefined);
  assert.equal(resolved('/gone', true), undefined);
  assert.equal(resolved('/usr/bin/nothing'), undefined);
});

test('the parent of a top-level path and of the root is the root', () => {
  assert.deepEqual((['/a/b/c', '/a', '/'] as const).map(parentPath), ['/a/b', '/', '/']);
});
