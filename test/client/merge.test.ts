/**
 * Layers are laid over a tree by the rules of
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutableTreeOfCommit, overlay, removeInjected } from '../../src/client/merge.js';
import { openRepo } from '../../src/ostree/repo.js';
import { MutableTree } from '../../src/ostree/write/mutable-tree.js';
import { dir, RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const built = new RepoBuilder('archive', '', scratchDirectory());
const repo = openRepo(built.path);
const tree = (spec: TreeSpec) => mutableTreeOfCommit(repo, built.commit(built.tree(spec)));

/** Paths of all files and directories, those of directories with a slash at the end. */
function paths(root: MutableTree, prefix = '/'): string[] {
  return [
    ...[...root.files.keys()].map((name) => `${prefix}${name}`),
    ...[...root.dirs].flatMap(([name, below]) => [
      `${prefix}${name}/`,
      ...paths(below, `${prefix}${name}/`),
    ]),
  ].sort();
}

function merged(base: TreeSpec, ...layers: readonly TreeSpec[]): string[] {
  const root = tree(base);
  for (const layer of layers) {
    overlay(root, tree(layer));
  }

  // A tree is the same when it was written and read again.
  const objects = new Map<string, Uint8Array>();
  const checksum = root.write(({ kind, checksum: name, bytes }) => {
    objects.set(name, bytes);
    built.object(kind, bytes);
  });
  assert.deepEqual(paths(new MutableTree(repo, root.dirmeta, checksum)), paths(root));
  return paths(root);
}

test('files are added and replaced, directories merged', () => {
  const root = tree(dir({ usr: dir({ a: 'old', b: 'old' }) }));
  overlay(root, tree(dir({ usr: dir({ b: 'new', c: 'new' }) })));
  assert.deepEqual(paths(root), ['/usr/', '/usr/a', '/usr/b', '/usr/c']);
  assert.equal(root.lookup('usr/b'), built.file({ content: 'new' }));
  assert.equal(root.lookup('usr/a'), built.file({ content: 'old' }));
  assert.equal(root.lookup('usr'), undefined);
});

test('whiteouts remove files and directories of lower layers, not those of their own layer', () => {
  assert.deepEqual(
    merged(dir({ a: '', b: dir({ c: '' }) }), dir({ '.wh.a': '', '.wh.b': '', '.wh.none': '' })),
    [],
  );
  assert.deepEqual(
    merged(dir({ a: dir({ old: '' }) }), dir({ '.wh.a': '', a: dir({ new: '' }) })),
    ['/a/', '/a/new'],
  );
});

test('an opaque directory hides everything that lower layers have in it', () => {
  const base = dir({ a: dir({ old: '', deep: dir({ old: '' }) }), b: '' });
  assert.deepEqual(merged(base, dir({ a: dir({ '.wh..wh..opq': '', new: '' }) })), [
    '/a/',
    '/a/new',
    '/b',
  ]);
});

test('a file replaces a directory, and a directory a file', () => {
  assert.deepEqual(merged(dir({ a: dir({ b: '' }), c: '' }), dir({ a: '', c: dir({ d: '' }) })), [
    '/a',
    '/c/',
    '/c/d',
  ]);
});

test('layers are applied in their order', () => {
  const layers = [dir({ a: 'x' }), dir({ '.wh.a': '' }), dir({ a: dir({}) })];
  assert.deepEqual(merged(dir({}), ...layers), ['/a/']);
});

test('a whiteout that names no file is refused', () => {
  assert.throws(() => merged(dir({}), dir({ '.wh.': '' })), {
    code: 'CORRUPT',
    message: /names no file/,
  });
});

test('only changed directories are written', () => {
  const root = tree(dir({ a: dir({ b: dir({ c: '' }) }), z: dir({}) }));
  overlay(root, tree(dir({ a: dir({ new: '' }) })));
  const written: string[] = [];
  root.write(({ checksum }) => void written.push(checksum));
  assert.equal(written.length, 2, 'the root and /a');
});

test('of the files that builders leave in /etc, only empty ones are removed', () => {
  const etc = dir({ hostname: '', hosts: '', 'resolv.conf': 'nameserver' });
  const root = tree(dir({ usr: dir({ etc }) }));
  removeInjected(repo, root);
  assert.deepEqual(paths(root), ['/usr/', '/usr/etc/', '/usr/etc/hosts', '/usr/etc/resolv.conf']);
});
