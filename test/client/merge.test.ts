/**
 * Layers are laid over a tree by the rules of
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutableTreeOfCommit, overlay, removeInjected } from '../../src/client/merge.js';
import { openRepo } from '../../src/ostree/repo.js';
import { MutableTree } from '../../src/ostree/write/mutable-tree.js';
import { dir, RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

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

/** A directory with a mode and an xattr, and with the files and directories of `spec`. */
function privateDirectory(mode: number, spec: TreeSpec): MutableTree {
  const xattrs = new Map([['user.kept', Buffer.from(mode.toString(8))]]);
  return new MutableTree(repo, built.dirmeta(0o40000 | mode, xattrs), built.tree(spec));
}

function parentOf(directory: MutableTree): MutableTree {
  const parent = tree(dir({}));
  parent.setDir('a', directory);
  return parent;
}

test('an opaque directory has the owner, mode and xattrs of its layer', () => {
  const base = privateDirectory(0o755, dir({ old: '' }));
  const layer = privateDirectory(0o700, dir({ '.wh..wh..opq': '', secret: '' }));
  const root = parentOf(base);
  const stored = root.write(() => {});
  overlay(root, parentOf(layer));
  assert.deepEqual(paths(root), ['/a/', '/a/secret']);
  assert.equal(root.dirs.get('a')?.dirmeta, layer.dirmeta);
  assert.notEqual(
    root.write(() => {}),
    stored,
  );

  const opaqueRoot = privateDirectory(0o755, dir({ old: '' }));
  overlay(opaqueRoot, layer);
  assert.deepEqual([opaqueRoot.dirmeta, paths(opaqueRoot)], [layer.dirmeta, ['/secret']]);
});

test('a directory that is not opaque keeps the owner, mode and xattrs of the lower layer', () => {
  const base = privateDirectory(0o700, dir({ old: '' }));
  const root = parentOf(base);
  overlay(root, parentOf(privateDirectory(0o755, dir({ new: '' }))));
  assert.equal(root.dirs.get('a')?.dirmeta, base.dirmeta);

  const removed = privateDirectory(0o750, dir({}));
  const layer = parentOf(removed);
  layer.setFile('.wh.a', built.file({ content: '' }));
  overlay(root, layer);
  assert.equal(root.dirs.get('a')?.dirmeta, removed.dirmeta, 'it was removed and made anew');
});

test(
  'directories have the modes that ostree gives them when it checks out layers',
  needs('ostree'),
  () => {
    const base = privateDirectory(0o750, dir({ old: '' }));
    for (const below of [dir({ new: '' }), dir({ '.wh..wh..opq': '', new: '' })]) {
      const layer = privateDirectory(0o700, below);
      const commits = [base, layer].map((directory) => {
        const dirtree = parentOf(directory).write(
          ({ kind, bytes }) => void built.object(kind, bytes),
        );
        return built.commit(dirtree);
      });

      const checkout = join(scratchDirectory(), 'checkout');
      for (const commit of commits) {
        run('ostree', [
          'checkout',
          `--repo=${built.path}`,
          '--user-mode',
          '--union',
          '--whiteouts',
          commit,
          checkout,
        ]);
      }
      const root = parentOf(base);
      overlay(root, parentOf(layer));

      const mode = statSync(join(checkout, 'a')).mode & 0o7777;
      const expected = mode === 0o700 ? layer : base;
      assert.equal(root.dirs.get('a')?.dirmeta, expected.dirmeta, mode.toString(8));
      const names = readdirSync(checkout, { recursive: true, encoding: 'utf8' });
      assert.deepEqual(
        names.sort(),
        paths(root).map((path) => path.replace(/^\/|\/$/g, '')),
      );
    }
  },
);

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

test('files that builders leave in /etc are removed only if they are empty', () => {
  const etc = dir({ hostname: '', hosts: '', 'resolv.conf': 'nameserver' });
  const root = tree(dir({ usr: dir({ etc }) }));
  removeInjected(repo, root);
  assert.deepEqual(paths(root), ['/usr/', '/usr/etc/', '/usr/etc/hosts', '/usr/etc/resolv.conf']);
});
