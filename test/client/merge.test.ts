/** Layers laid over a tree: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md */
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

/** Paths of files, and of directories with a slash behind them. */
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
  // Written and read again, it is the same.
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

test('whiteouts take away files and directories below, not what the layer has itself', () => {
  assert.deepEqual(
    merged(dir({ a: '', b: dir({ c: '' }) }), dir({ '.wh.a': '', '.wh.b': '', '.wh.none': '' })),
    [],
  );
  assert.deepEqual(
    merged(dir({ a: dir({ old: '' }) }), dir({ '.wh.a': '', a: dir({ new: '' }) })),
    ['/a/', '/a/new'],
  );
});

test('an opaque directory hides all that is below', () => {
  const base = dir({ a: dir({ old: '', deep: dir({ old: '' }) }), b: '' });
  assert.deepEqual(merged(base, dir({ a: dir({ '.wh..wh..opq': '', new: '' }) })), [
    '/a/',
    '/a/new',
    '/b',
  ]);
});

test('a file takes the place of a directory, and a directory that of a file', () => {
  assert.deepEqual(merged(dir({ a: dir({ b: '' }), c: '' }), dir({ a: '', c: dir({ d: '' }) })), [
    '/a',
    '/c/',
    '/c/d',
  ]);
});

test('several layers, in their order', () => {
  const layers = [dir({ a: 'x' }), dir({ '.wh.a': '' }), dir({ a: dir({}) })];
  assert.deepEqual(merged(dir({}), ...layers), ['/a/']);
});

test('a whiteout of nothing', () => {
  assert.throws(() => merged(dir({}), dir({ '.wh.': '' })), {
    code: 'CORRUPT',
    message: /names nothing/,
  });
});

test('what is not changed is not written', () => {
  const root = tree(dir({ a: dir({ b: dir({ c: '' }) }), z: dir({}) }));
  overlay(root, tree(dir({ a: dir({ new: '' }) })));
  const written: string[] = [];
  root.write(({ checksum }) => void written.push(checksum));
  assert.equal(written.length, 2, 'the root and /a');
});

test('empty files that builders leave in /etc, and only those', () => {
  const etc = dir({ hostname: '', hosts: '', 'resolv.conf': 'nameserver' });
  const root = tree(dir({ usr: dir({ etc }) }));
  removeInjected(repo, root);
  assert.deepEqual(paths(root), ['/usr/', '/usr/etc/', '/usr/etc/hosts', '/usr/etc/resolv.conf']);
});
