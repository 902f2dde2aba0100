/** The tree of an ostree commit, small, large and broken. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openCommitTree, openLargeCommitTree } from '../../src/tree/commit.js';
import { type CommitMetadata, walkCommit } from '../../src/tree/commit-walk.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { repoRoot } from '../support/root.js';

const decode = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test('entries are in byte order of their paths, directories depth first', () => {
  const built = new RepoBuilder('archive');
  const nested = dir({
    b: dir({ deep: 'x' }),
    file: { content: 'longer', mode: 0o4755 },
    link: { target: 'b//deep' },
  });
  const commit = built.commit(built.tree(dir({ a: nested, 'a-b': dir({}), root: '' })), {
    dirmeta: built.dirmeta(0o40700),
  });
  const tree = openCommitTree(openRepo(built.path), commit);
  assert.equal(tree.name, `commit ${commit}`);
  assert.equal(tree.commit.parsed.subject, 'test');
  const paths = [...tree.files].map((entry) => entry.path);
  assert.deepEqual(paths, ['/', '/a', '/a-b', '/a/b', '/a/b/deep', '/a/file', '/a/link', '/root']);
  assert.deepEqual(
    tree.directories.map((directory) => directory.path),
    ['/', '/a', '/a/b', '/a-b'],
  );
  assert.equal(tree.directories[0]?.dirtree, tree.commit.parsed.dirtree);
  assert.equal(tree.directories[0]?.dirmeta, tree.commit.parsed.dirmeta);
  assert.equal(tree.files.get('/')?.mode, 0o40700);
  const file = tree.files.get('/a/file');
  assert.deepEqual(
    [file?.type, file?.mode, file?.type === 'file' && file.size],
    ['file', 0o104755, 6],
  );
  const link = tree.files.get('/a/link');
  assert.deepEqual(
    [link?.type, link?.mode, link?.type === 'symlink' && link.target],
    ['symlink', 0o120777, 'b//deep'],
  );
});

test('content is streamed by exact path, or read as a whole through symlinks', async () => {
  const built = new RepoBuilder('archive');
  const commit = built.commit(
    built.tree(
      dir({
        lib: { target: 'usr/lib' },
        usr: dir({ lib: dir({ db: { target: '/usr/x' } }), x: 'the content' }),
      }),
    ),
  );
  const tree = openCommitTree(openRepo(built.path), commit);
  assert.equal(
    decode(Buffer.concat([...(tree.read('/usr/x') as Iterable<Uint8Array>)])),
    'the content',
  );
  assert.equal(decode(await tree.bytes('/lib/db')), 'the content');
  for (const path of ['/lib/db', '/usr', '/nothing'] as const) {
    assert.throws(() => tree.read(path), {
      code: 'NOT_FOUND',
      message: new RegExp(`no regular file ${path} in commit`),
    });
  }
  await assert.rejects(tree.bytes('/usr/lib'), { code: 'NOT_FOUND' });
});

test('a file larger than 1 GiB is not read as a whole', async () => {
  const built = new RepoBuilder('archive');
  const commit = built.commit(built.tree(dir({ big: 'x' })));
  const repo = openRepo(built.path);
  const fileInfo = repo.fileInfo.bind(repo);
  repo.fileInfo = (checksum) => ({ ...fileInfo(checksum), size: 2 ** 30 + 1 });
  await assert.rejects(openCommitTree(repo, commit).bytes('/big'), {
    code: 'LIMIT',
    message: /1073741825 bytes/,
  });
});

test('equal files at several paths are one object', () => {
  const built = new RepoBuilder('archive');
  const commit = built.commit(
    built.tree(dir({ a: dir({ x: 'same' }), b: dir({ x: 'same', y: 'same' }) })),
  );
  const { files } = openCommitTree(openRepo(built.path), commit);
  const checksums = ['/a/x', '/b/x', '/b/y'].map((path) => {
    const entry = files.get(path);
    return entry?.type === 'file' && entry.checksum;
  });
  assert.equal(new Set(checksums).size, 1);
});

test('directories nested too deep are refused with the limit', () => {
  const built = new RepoBuilder('archive');
  let tree = built.tree(dir({}));
  const dirmeta = built.dirmeta();
  for (let depth = 0; depth < 2100; depth++) {
    tree = built.dirtree({ files: [], dirs: [{ name: 'd', dirtree: tree, dirmeta }] });
  }
  assert.throws(() => openCommitTree(openRepo(built.path), built.commit(tree)), {
    code: 'LIMIT',
    message: /nested more than 2048 deep/,
  });
});

test('a small repository that expands to 100 million files is refused with the limit', () => {
  const built = new RepoBuilder('archive');
  const names = Array.from({ length: 100 }, (_, index) => `n${index + 100}`);
  const [checksum, dirmeta] = [built.file({}), built.dirmeta()];
  let tree = built.dirtree({ files: names.map((name) => ({ name, checksum })), dirs: [] });
  for (let level = 0; level < 3; level++) {
    tree = built.dirtree({
      files: [],
      dirs: names.map((name) => ({ name, dirtree: tree, dirmeta })),
    });
  }
  assert.throws(() => openCommitTree(openRepo(built.path), built.commit(tree)), {
    code: 'LIMIT',
    message: /more than 4000000 files and directories/,
  });
});

test('directories that share their children are refused after each was read once', () => {
  const depth = 30;
  let reads = 0;
  const metadata: CommitMetadata = {
    root: { dirtree: `${depth}`, dirmeta: 'meta' },
    loadDirmeta: () => ({ uid: 0, gid: 0, mode: 0o40755, xattrs: new Map() }),
    loadDirtree: (checksum) => ({
      files: [],
      get dirs() {
        reads++;
        const child = { dirtree: `${Number(checksum) - 1}`, dirmeta: 'meta' };
        return checksum === '0' ? [] : ['a', 'b'].map((name) => ({ name, ...child }));
      },
    }),
  };
  assert.throws(() => walkCommit(metadata), {
    code: 'LIMIT',
    message: 'more than 4000000 files and directories',
  });
  assert.ok(reads <= depth + 1, `${reads} reads`);
});

test('the error for a missing object of a commit names it', () => {
  const built = new RepoBuilder('archive');
  const [checksum, dirmeta] = ['a'.repeat(64), built.dirmeta()];
  const commits = {
    file: built.commit(built.dirtree({ files: [{ name: 'f', checksum }], dirs: [] })),
    dirtree: built.commit(
      built.dirtree({ files: [], dirs: [{ name: 'd', dirtree: checksum, dirmeta }] }),
    ),
    dirmeta: built.commit(built.tree(dir({})), { dirmeta: checksum }),
  };
  for (const [kind, commit] of Object.entries(commits)) {
    assert.throws(() => openCommitTree(openRepo(built.path), commit), {
      code: 'NOT_FOUND',
      message: new RegExp(`${kind} object a{64} is not in`),
    });
  }
});

suite('a large commit is read by two threads', () => {
  const built = new RepoBuilder('archive');
  const xattrs = new Map([['user.x', Buffer.from('x')]]);
  const files = Array.from(
    { length: 6000 },
    (_, i) => [`f${i + 10_000}`, { content: `${i}`, ...(i % 3 > 0 && { xattrs }) }] as const,
  );
  const links = Array.from(
    { length: 6000 },
    (_, i) => [`l${i + 10_000}`, { target: `${i}` }] as const,
  );
  const commit = built.commit(built.tree(dir(Object.fromEntries([...files, ...links]))));

  /** A repository that is slow at first: until then, the second thread claims all other batches. */
  function slowRepo() {
    const repo = openRepo(built.path);
    const fileInfo = repo.fileInfo.bind(repo);
    const slow = { repo, read: 0 };
    repo.fileInfo = (checksum) => {
      if (slow.read++ === 0) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
      }
      return fileInfo(checksum);
    };
    return slow;
  }

  test('the tree is the same as with one thread', async () => {
    const slow = slowRepo();
    const { files, objects, directories } = await openLargeCommitTree(slow.repo, commit);
    const tree = openCommitTree(openRepo(built.path), commit);
    assert.ok(slow.read < 6000, `${slow.read} of 12000 read here`);
    // A clone has no Buffer: what comes from another thread is a Uint8Array.
    assert.deepEqual(structuredClone([...files]), structuredClone([...tree.files]));
    assert.deepEqual(structuredClone([...objects]), structuredClone([...tree.objects]));
    assert.deepEqual(directories, tree.directories);
  });

  test('the error for an object that the second thread cannot find names it', async () => {
    const [[checksum]] = [...openCommitTree(openRepo(built.path), commit).objects] as [
      [string, unknown],
    ];
    rmSync(join(built.path, 'objects', objectPath(checksum, 'filez')));
    await assert.rejects(openLargeCommitTree(slowRepo().repo, commit), {
      code: 'NOT_FOUND',
      message: new RegExp(`file object ${checksum} is not in`),
    });
  });
});

test('every object of the sample repositories is verified', async () => {
  for (const build of ['old', 'new']) {
    const repo = openRepo(join(repoRoot, 'rpmdb-fixtures/sample', build));
    const tree = openCommitTree(repo, repo.resolve('sample/os'));
    assert.ok(tree.files.size > 300, `${tree.files.size} entries`);
    for (const { dirtree, dirmeta } of tree.directories) {
      repo.loadDirtree(dirtree);
      repo.loadDirmeta(dirmeta);
    }
    for (const entry of tree.files) {
      assert.ok(entry.xattrs.has('security.selinux'), entry.path);
      if (entry.type !== 'file') {
        continue;
      }
      let size = 0;
      for await (const chunk of tree.read(entry.path)) {
        size += chunk.length;
      }
      assert.equal(size, entry.size);
    }
    assert.match(
      decode((await tree.bytes('/usr/lib/sysimage/rpm/rpmdb.sqlite')).subarray(0, 16)),
      /^SQLite format 3/,
    );
  }
});
