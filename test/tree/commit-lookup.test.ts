/** Single paths of a commit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRepo } from '../../src/ostree/repo.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { lookupCommit } from '../../src/tree/commit-lookup.js';
import { dir, RepoBuilder } from '../support/build-repo.js';

const built = new RepoBuilder('archive');

const nested = dir({
  b: dir({ deep: 'x' }),
  file: { content: 'longer', mode: 0o4755 },
  link: { target: 'b/deep' },
});
const commit = built.commit(built.tree(dir({ a: nested, 'a-b': dir({}), up: { target: '/a/b' } })));
const repo = openRepo(built.path);

test('every path resolves to the same entry as in the whole tree', () => {
  const { files, name } = lookupCommit(repo, commit);
  const tree = openCommitTree(repo, commit);
  assert.equal(name, tree.name);
  for (const entry of tree.files) {
    assert.deepEqual(files.resolve(entry.path), entry);
  }
  assert.equal(files.resolve('/up/deep')?.path, '/a/b/deep');
  assert.equal(files.resolve('/a/link', true)?.path, '/a/b/deep');
  for (const path of ['/nothing', '/a/file/below', '/a/b/deep/er', '/nothing/at/all']) {
    assert.equal(files.resolve(path), undefined, path);
  }
});

test('files are read by path, through symlinks', async () => {
  const { bytes } = lookupCommit(repo, commit);
  assert.equal(Buffer.from(await bytes('/a/file')).toString(), 'longer');
  assert.equal(Buffer.from(await bytes('/up/deep')).toString(), 'x');
  await assert.rejects(bytes('/a'), {
    code: 'NOT_FOUND',
    message: new RegExp(`no regular file /a in commit ${commit}`),
  });
});

test('only directories above the paths are read', () => {
  const loaded: string[] = [];
  const watched = openRepo(built.path);
  const loadDirtree = watched.loadDirtree.bind(watched);
  watched.loadDirtree = (checksum) => {
    loaded.push(checksum);
    return loadDirtree(checksum);
  };
  const { files } = lookupCommit(watched, commit);
  files.resolve('/a/file');
  files.resolve('/a/link');
  assert.equal(loaded.length, 2);
});
