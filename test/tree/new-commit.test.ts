/** Commits that are made of a tree in memory, beside the same objects in a repository. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256Hex } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openCommitTree } from '../../src/tree/commit.js';
import type { LocatedTree } from '../../src/tree/content-location.js';
import { FileMap } from '../../src/tree/file-map.js';
import { committedTree, uncommittedTree } from '../../src/tree/new-commit.js';
import type { TreePath } from '../../src/tree/tree.js';
import { dir, RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { buildTree, type EntrySpec } from '../support/build-tree.js';

const TIME = 1_700_000_000;

function treeOf(specs: Readonly<Record<TreePath, EntrySpec>>): LocatedTree {
  return { ...buildTree(specs), content: { kind: 'directory', path: '/nowhere' } };
}

/** Returns the tree of the commit that a repository has of `spec`. */
function storedTree(spec: TreeSpec) {
  const repo = new RepoBuilder('archive');
  const commit = repo.commit(repo.tree(spec), { subject: 'a subject', timestamp: TIME });
  return openCommitTree(openRepo(repo.path), commit);
}

function madeTree(specs: Readonly<Record<TreePath, EntrySpec>>) {
  const tree = uncommittedTree(treeOf(specs));
  return committedTree(tree, { subject: 'a subject', timestamp: TIME });
}

suite('a commit that is made in memory', () => {
  // In the order of whole paths `/usr/a-b` is between `/usr/a` and `/usr/a/b`, and in UTF-16 the
  // last name is before the one above it.
  const specs = {
    '/usr/a/b': 'b',
    '/usr/a-b': 'same',
    '/usr/share/same': 'same',
    '/usr/share/link': { target: '../a' },
    '/usr/share/empty': { directory: true },
    '/usr/share/\u{ffee}': '1',
    '/usr/share/\u{1f600}': '2',
  } as const;
  const made = madeTree(specs);
  const stored = storedTree(
    dir({
      usr: dir({
        a: dir({ b: 'b' }),
        'a-b': 'same',
        share: dir({
          empty: dir({}),
          link: { target: '../a' },
          same: 'same',
          '\u{ffee}': '1',
          '\u{1f600}': '2',
        }),
      }),
    }),
  );

  test('is the one that a repository would have', () => {
    assert.equal(made.commit.checksum, stored.commit.checksum);
    assert.equal(sha256Hex(made.commit.bytes), stored.commit.checksum);
    assert.deepEqual(made.directories, stored.directories);
    assert.deepEqual([...made.files], [...stored.files]);
    assert.deepEqual([...made.objects.keys()].sort(), [...stored.objects.keys()].sort());
  });

  test('has the bytes of all objects of directories', () => {
    for (const { path, dirtree, dirmeta } of made.directories) {
      assert.equal(sha256Hex(made.loadBytes(dirtree, 'dirtree')), dirtree, path);
      assert.equal(sha256Hex(made.loadBytes(dirmeta, 'dirmeta')), dirmeta, path);
    }
  });

  test('has /etc as /usr/etc, and nothing below /sysroot', () => {
    const { commit } = madeTree({
      '/etc/passwd': 'root',
      '/etc-2': 'another name',
      '/sysroot/ostree/repo/config': '[core]',
      '/usr/bin/sh': 'sh',
    });
    const expected = storedTree(
      dir({
        'etc-2': 'another name',
        sysroot: dir({}),
        usr: dir({ bin: dir({ sh: 'sh' }), etc: dir({ passwd: 'root' }) }),
      }),
    );
    assert.equal(commit.checksum, expected.commit.checksum);
  });

  test('records no times, inodes and digests of content', () => {
    const source = treeOf({ '/usr/file': 'x' });
    const entries = [...source.files].map((entry) => ({ ...entry, mtime: 1, inode: '2' }));
    const { files } = uncommittedTree({ ...source, files: new FileMap(entries) });
    assert.deepEqual([...files], [...uncommittedTree(source).files]);
  });
});

suite('a tree that no commit can hold is refused', () => {
  for (const [title, specs, message] of [
    ['with /etc and /usr/etc', { '/etc/a': '', '/usr/etc/a': '' }, /has both \/etc and \/usr\/etc/],
    ['with a symlink /etc', { '/etc': { target: 'usr/etc' } }, /\/etc is not a directory/],
    ['with /etc and a file /usr', { '/etc/a': '', '/usr': '' }, /\/usr is not a directory/],
    ['with /etc and without /usr', { '/etc/a': '' }, /has \/etc, but no \/usr that could hold it/],
  ] as const) {
    test(title, () => {
      assert.throws(() => uncommittedTree(treeOf(specs)), { code: 'UNSUPPORTED', message });
    });
  }
});
