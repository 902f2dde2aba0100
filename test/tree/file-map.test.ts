import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileMap } from '../../src/tree/file-map.js';
import { parentPath } from '../../src/tree/path.js';
import type { FileEntry, TreePath } from '../../src/tree/tree.js';

const common = { mode: 0, uid: 0, gid: 0, xattrs: new Map(), size: 0, checksum: '' } as const;
const file = (path: TreePath): FileEntry => ({ ...common, type: 'file', path });
const folder = (path: TreePath): FileEntry => ({ ...common, type: 'directory', path });
const link = (path: TreePath, target: string): FileEntry => ({
  ...common,
  type: 'symlink',
  path,
  target,
});

test('iteration is in byte order of the paths', () => {
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

test('a path given twice is an error', () => {
  assert.throws(() => new FileMap([file('/a'), file('/a')]), { code: 'CORRUPT' });
});

test('resolution follows symlinks in directories, and the last component on request', () => {
  const files = new FileMap([
    folder('/'),
    folder('/usr'),
    folder('/usr/bin'),
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

test('the parent of a path', () => {
  assert.deepEqual((['/a/b/c', '/a', '/'] as const).map(parentPath), ['/a/b', '/', '/']);
});
