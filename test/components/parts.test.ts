/** Which directories of a component become parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commonDirectory,
  directoriesByWhole,
  dividingDirectories,
  type Piece,
  piecesByDirectory,
} from '../../src/components/parts.js';

const pieces = (sizes: Readonly<Record<string, number>>): Piece[] =>
  Object.entries(sizes).map(([directory, size]) => ({ directory, size }));

test('directories of a component become parts, the largest first, below their common folder', () => {
  const firmware = pieces({
    'usr/share/licenses/linux-firmware': 1,
    'usr/lib/firmware/amdgpu': 140,
    'usr/lib/firmware/intel': 100,
    'usr/lib/firmware/qcom/sdm845': 120,
    'usr/lib/firmware/mrvl': 90,
    'usr/lib/firmware/brcm': 80,
    'usr/lib/firmware/tiny': 2,
    'usr/lib/firmware': 60,
  });
  assert.deepEqual(dividingDirectories(firmware), [
    'usr/lib/firmware/amdgpu',
    'usr/lib/firmware/qcom',
    'usr/lib/firmware/intel',
    'usr/lib/firmware/mrvl',
    'usr/lib/firmware/brcm',
    'usr/lib/firmware',
  ]);
});

test('a directory with more than a quarter of the bytes is looked into', () => {
  const python = pieces({
    'usr/lib/python3.11/test': 400,
    'usr/lib/python3.11/email': 100,
    'usr/share/doc/python': 10,
  });
  assert.deepEqual(dividingDirectories(python), [
    'usr/lib/python3.11/test',
    'usr/lib/python3.11/email',
    'usr/share',
  ]);
});

test('a component with all its bytes in one directory is not divided', () => {
  assert.deepEqual(dividingDirectories(pieces({ 'usr/bin': 1000, 'usr/share/doc/x': 1 })), []);
  assert.deepEqual(dividingDirectories(pieces({ 'usr/bin': 0, 'usr/lib': 0 })), []);
  assert.deepEqual(dividingDirectories([]), []);
});

test('a piece belongs to the deepest directory that holds it, else to the rest', () => {
  const all = pieces({ 'a/b/c': 1, 'a/b': 1, 'a/bc': 1, '': 1 });
  assert.deepEqual(
    [...piecesByDirectory(all, new Set(['a/b', 'a/b/c']))],
    [
      ['a/b/c', [0]],
      ['a/b', [1]],
      ['', [2, 3]],
    ],
  );
});

test('all directories of kernels count as one, whatever version their paths name', () => {
  const paths = ['/usr/lib/modules/6.1.0/kernel/drivers/a.ko'];
  assert.equal(commonDirectory(paths), 'usr/lib/modules/*');
  assert.equal(commonDirectory(['/usr/lib/x/a', '/usr/lib/xy/a']), 'usr/lib');
  assert.equal(commonDirectory(['/etc']), '');
});

test('an id with several separators may be a part of several components', () => {
  assert.deepEqual(
    [...directoriesByWhole(['a', 'b#', 'b#usr/c#d'])],
    [
      ['b', ['', 'usr/c#d']],
      ['b#usr/c', ['d']],
    ],
  );
});
