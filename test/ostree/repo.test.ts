/** Reads repositories of several modes, which RepoBuilder writes. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { filezHeaderBytes, startFileChecksum } from '../../src/ostree/objects/file.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { encodeXattrs } from '../../src/ostree/objects/xattr-list.js';
import { type OstreeRepo, openRepo } from '../../src/ostree/repo.js';
import { dir, RepoBuilder } from '../support/build-repo.js';

async function contentOf(repo: OstreeRepo, checksum: string): Promise<string> {
  let text = '';
  for await (const chunk of repo.readFile(checksum)) {
    text += Buffer.from(chunk).toString('latin1');
  }
  return text;
}

const XATTRS = new Map([
  ['security.selinux', Buffer.from('label\0')],
  ['user.binary', Buffer.of(0, 255, 1)],
]);

for (const mode of ['archive', 'bare-split-xattrs', 'bare-user-only'] as const) {
  test(`${mode}: files and symlinks are read with their metadata`, async () => {
    const built = new RepoBuilder(mode);
    const xattrs = mode === 'bare-user-only' ? new Map() : XATTRS;
    const content = 'some content\0\xff'.repeat(1000);
    const file = built.file({ content: Buffer.from(content, 'latin1'), mode: 0o755, xattrs });
    const empty = built.file({ content: '', mode: 0o600, xattrs });
    const link = built.file({ target: '../a//b', xattrs });
    const repo = openRepo(built.path);
    assert.equal(repo.mode, mode);
    const info = repo.fileInfo(file);
    // A bare-split-xattrs repository keeps each file's owner on disk; the others in this table record root.
    const uid = mode === 'bare-split-xattrs' ? process.getuid?.() : 0;
    assert.deepEqual(
      [info.type, info.mode, info.uid, info.size, [...info.xattrs.keys()]],
      ['file', 0o100755, uid, content.length, [...xattrs.keys()]],
    );
    assert.deepEqual(Buffer.from(info.xattrsBytes), Buffer.from(encodeXattrs(xattrs)));
    assert.equal(await contentOf(repo, file), content);
    assert.deepEqual([repo.fileInfo(empty).size, repo.fileInfo(empty).mode], [0, 0o100600]);
    assert.deepEqual([...(repo.readFile(empty) as Iterable<Uint8Array>)], []);
    const symlink = repo.fileInfo(link);
    assert.deepEqual(
      [symlink.type, symlink.mode, symlink.size, symlink.target],
      ['symlink', 0o120777, 0, '../a//b'],
    );
    assert.throws(() => repo.readFile(link), { code: 'NOT_FOUND', message: /is a symlink/ });
  });

  test(`${mode}: a large file is read in chunks of at most 1 MiB`, async () => {
    const built = new RepoBuilder(mode);
    const content = Buffer.alloc(9 << 20, 'chunk ');
    const checksum = built.file({ content });
    let size = 0;
    for await (const chunk of openRepo(built.path).readFile(checksum)) {
      assert.ok(chunk.length <= 1 << 20);
      assert.ok(Buffer.from(chunk).equals(content.subarray(size, size + chunk.length)));
      size += chunk.length;
    }
    assert.equal(size, content.length);
  });
}

test('files with equal xattrs share one Map', () => {
  const built = new RepoBuilder('archive');
  const [a, b] = ['a', 'b'].map((content) => built.file({ content, xattrs: XATTRS }));
  const repo = openRepo(built.path);
  assert.equal(repo.fileInfo(a as string).xattrs, repo.fileInfo(b as string).xattrs);
});

test('a header that is longer than the first read is read whole', () => {
  const built = new RepoBuilder('archive');
  const xattrs = new Map([['user.long', Buffer.alloc(60_000, 'x')]]);
  const repo = openRepo(built.path);
  assert.equal(
    repo.fileInfo(built.file({ content: 'x', xattrs })).xattrs.get('user.long')?.length,
    60_000,
  );
});

test('a reader may stop in the middle of a file', async () => {
  for (const mode of ['archive', 'bare-user-only'] as const) {
    const built = new RepoBuilder(mode);
    const checksum = built.file({ content: Buffer.alloc(20 << 20) });
    for await (const chunk of openRepo(built.path).readFile(checksum)) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
});

test('a deflate bomb is inflated no further than the size that its header states', async () => {
  const built = new RepoBuilder('archive');
  const header = { uid: 0, gid: 0, mode: 0o100644, size: 10, xattrsBytes: new Uint8Array() };
  const checksum = startFileChecksum(header).update('0123456789').digest('hex');
  const bomb = deflateRawSync(Buffer.alloc(30 << 20));
  built.write(
    `objects/${objectPath(checksum, 'filez')}`,
    Buffer.concat([filezHeaderBytes(header), bomb]),
  );
  await assert.rejects(contentOf(openRepo(built.path), checksum), {
    code: 'CORRUPT',
    message: /inflating .*larger than 11 bytes/,
  });
});

test('commits, dirtrees, dirmetas and detached metadata are loaded by checksum', () => {
  const built = new RepoBuilder('archive');
  const tree = built.tree(dir({ file: 'content', folder: dir({}) }));
  const commit = built.commit(tree);
  const repo = openRepo(built.path);
  assert.equal(repo.loadCommit(commit).parsed.dirtree, tree);
  const dirtree = repo.loadDirtree(tree);
  assert.equal(dirtree.checksum, tree);
  assert.deepEqual(
    dirtree.parsed.files.map((file) => file.name),
    ['file'],
  );
  assert.equal(repo.loadDirmeta(dirtree.parsed.dirs[0]?.dirmeta as string).parsed.mode, 0o40755);
  assert.equal(repo.loadCommitMeta(commit), undefined);
  built.commitMeta(
    commit,
    new Map([['ostree.gpgsigs', { type: 'aay', value: [Buffer.of(1, 2)] }]]),
  );
  assert.deepEqual([...(repo.loadCommitMeta(commit)?.parsed.keys() ?? [])], ['ostree.gpgsigs']);
});

test('a revision is a ref, a remote ref, a checksum or its beginning, with ^ for parents', () => {
  const built = new RepoBuilder('archive');
  const tree = built.tree(dir({}));
  const first = built.commit(tree);
  const second = built.commit(tree, { parent: first, subject: 'second' });
  built.write('refs/heads/distro/stable', `${first}\n`);
  built.write('refs/heads/é', second);
  built.write('refs/remotes/origin/distro/stable', second);
  built.write('refs/remotes/origin/distro/testing', second);
  built.write('refs/remotes/.gitkeep', '');
  const repo = openRepo(built.path);
  const expected: [string, string][] = [
    ['distro/stable', first],
    ['é', second],
    ['origin:distro/stable', second],
    ['distro/testing', second],
    [first, first],
    [second.slice(0, 10), second],
    [`${second}^`, first],
    ['origin:distro/stable^', first],
  ];
  for (const [rev, checksum] of expected) {
    assert.equal(repo.resolve(rev), checksum, rev);
  }
  const absent = [
    '',
    '^',
    'distro',
    'distro/stable/x',
    'x:distro/stable',
    'origin:',
    'a:b:c',
    '../refs/heads/distro/stable',
  ];
  for (const rev of [
    ...absent,
    `0${first.slice(1)}`,
    'x'.repeat(5000),
    '/',
    'origin/../distro/stable',
  ]) {
    assert.throws(
      () => repo.resolve(rev),
      { code: 'NOT_FOUND', message: /no ref or commit .* in ostree repository/ },
      rev,
    );
  }
  assert.throws(() => repo.resolve('distro/stable^'), {
    code: 'NOT_FOUND',
    message: /has no parent/,
  });
});

test('objects and refs that a repository lacks are found in its parent', async () => {
  const parent = new RepoBuilder('bare-split-xattrs');
  const inParent = parent.file({ content: 'in the parent' });
  const commit = parent.commit(parent.tree(dir({})));
  parent.write('refs/heads/main', commit);
  parent.commitMeta(commit, new Map());
  const child = new RepoBuilder('archive', `parent=${parent.path}\n`);
  const inChild = child.file({ content: 'in the child' });
  const repo = openRepo(child.path);
  assert.equal(await contentOf(repo, inParent), 'in the parent');
  assert.equal(await contentOf(repo, inChild), 'in the child');
  assert.equal(repo.resolve('main'), commit);
  assert.equal(repo.resolve(commit.slice(0, 8)), commit);
  assert.equal(repo.loadCommit(commit).parsed.subject, 'test');
  assert.equal(repo.loadCommitMeta(commit)?.parsed.size, 0);
});

test('a config may have comments, spaces and other groups, and its default mode is bare', () => {
  const built = new RepoBuilder('archive');
  const write = (text: string) => writeFileSync(join(built.path, 'config'), text);
  write(
    '# made by hand\n\n[remote "x"]\nmode=nonsense\n[core]\n repo_version = 1\nmode = archive-z2\n[archive]\nzlib-level=9\n',
  );
  assert.equal(openRepo(built.path).mode, 'archive');
  write('[core]\nrepo_version=1\n');
  assert.equal(openRepo(built.path).mode, 'bare');
});

test('a repository without refs, as in an unpacked image, resolves checksums', () => {
  const built = new RepoBuilder('bare-split-xattrs');
  const commit = built.commit(built.tree(dir({})));
  rmSync(join(built.path, 'refs'), { recursive: true });
  mkdirSync(join(built.path, 'tmp'));
  const repo = openRepo(built.path);
  assert.equal(repo.resolve(commit), commit);
  assert.throws(() => repo.resolve('main'), { code: 'NOT_FOUND' });
});
