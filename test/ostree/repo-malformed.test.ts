/** Damaged and incomplete repositories: every error names the object and what is wrong. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { dir, RepoBuilder } from '../support/build-repo.js';

async function drain(repo: RepoBuilder, checksum: string): Promise<void> {
  for await (const _ of openRepo(repo.path).readFile(checksum)) {
  }
}

test('a path without a repository, and a config that cannot be read, are refused', () => {
  assert.throws(() => openRepo(join(tmpdir(), 'ostrata-no-such-repository')), {
    code: 'NOT_FOUND',
    message: /no ostree repository at .*ostrata-no-such-repository/,
  });
  const built = new RepoBuilder('archive');
  const configs: [string, object][] = [
    [
      '[core]\nrepo_version=2\nmode=archive\n',
      { code: 'UNSUPPORTED', message: /repo_version "2", expected "1"/ },
    ],
    ['', { code: 'UNSUPPORTED', message: /repo_version ""/ }],
    [
      '[core]\nrepo_version=1\nmode=zip\n',
      { code: 'UNSUPPORTED', message: /mode "zip", known are archive, bare,/ },
    ],
    [
      '[core]\nnonsense\n',
      { code: 'CORRUPT', message: /opening ostree repository .*"nonsense" is not key=value/ },
    ],
    [
      `[core]\nrepo_version=1\nparent=${built.path}\n`,
      { code: 'LIMIT', message: /more than 8 parent repositories/ },
    ],
    [
      '[core]\nrepo_version=1\nparent=gone\n',
      { code: 'NOT_FOUND', message: /no ostree repository at .*gone/ },
    ],
  ];
  for (const [config, error] of configs) {
    writeFileSync(join(built.path, 'config'), config);
    assert.throws(() => openRepo(built.path), error, config);
  }
});

test('the error for a missing object names its kind, its checksum and the repository', () => {
  const built = new RepoBuilder('archive');
  const repo = openRepo(built.path);
  const id = 'ab'.repeat(32);
  const calls = {
    commit: () => repo.loadCommit(id),
    dirtree: () => repo.loadDirtree(id),
    dirmeta: () => repo.loadDirmeta(id),
    file: () => repo.fileInfo(id),
  };
  for (const [kind, call] of Object.entries(calls)) {
    assert.throws(call, {
      code: 'NOT_FOUND',
      message: new RegExp(`${kind} object ${id} .*${built.path}`),
    });
  }
  assert.throws(() => repo.readFile(id), { code: 'NOT_FOUND' });
  assert.equal(repo.loadCommitMeta(id), undefined);
});

test('a metadata object that does not match its checksum, or is too large, is refused', () => {
  const built = new RepoBuilder('archive');
  const tree = built.tree(dir({ file: 'x' }));
  const path = join(built.path, 'objects', objectPath(tree, 'dirtree'));
  appendFileSync(path, 'x');
  const repo = openRepo(built.path);
  assert.throws(() => repo.loadDirtree(tree), {
    code: 'CORRUPT',
    message: new RegExp(
      `reading dirtree object ${tree} of .*: its bytes have the checksum [0-9a-f]{64}`,
    ),
  });
  truncateSync(path, (10 << 20) + 1);
  assert.throws(() => repo.loadDirtree(tree), {
    code: 'LIMIT',
    message: /10485761 bytes, at most 10485760/,
  });
});

test('an object that matches its checksum but is not of its kind is refused', () => {
  const built = new RepoBuilder('archive');
  const id = built.object('commit', Buffer.from('no commit at all'));
  assert.throws(() => openRepo(built.path).loadCommit(id), {
    code: 'CORRUPT',
    message: new RegExp(`${id} .*GVariant`),
  });
});

test('a partial commit is not found', () => {
  const built = new RepoBuilder('archive');
  const commit = built.commit(built.tree(dir({})));
  built.write(`state/${commit}.commitpartial`, '');
  assert.throws(() => openRepo(built.path).loadCommit(commit), {
    code: 'NOT_FOUND',
    message: /is partial/,
  });
});

test('an ambiguous revision, and a ref that holds no checksum, are refused', () => {
  const built = new RepoBuilder('archive');
  for (const digits of ['abcd1', 'abcd2', 'ab']) {
    built.object('commit', new Uint8Array(), digits.padEnd(64, '0'));
  }
  const repo = openRepo(built.path);
  assert.throws(() => repo.resolve('abcd'), {
    code: 'AMBIGUOUS',
    message: /^2 commits in .* begin with abcd$/,
  });
  assert.throws(() => repo.resolve('a'), { code: 'AMBIGUOUS', message: /^3 commits/ });
  assert.equal(repo.resolve('abcd1'), 'abcd1'.padEnd(64, '0'));
  built.write('refs/heads/main', 'not a checksum');
  assert.throws(() => repo.resolve('main'), {
    code: 'CORRUPT',
    message: /refs\/heads\/main holds "not a checksum"/,
  });
  built.write('refs/remotes/a/main2', 'a'.repeat(64));
  built.write('refs/remotes/b/main2', 'b'.repeat(64));
  assert.throws(() => repo.resolve('main2'), { code: 'AMBIGUOUS', message: /2 remotes .* main2/ });
});

for (const mode of ['archive', 'bare-split-xattrs', 'bare-user-only'] as const) {
  const extension = mode === 'archive' ? 'filez' : 'file';

  test(`${mode}: content that is changed, cut or longer is refused`, async () => {
    const built = new RepoBuilder(mode);
    const checksum = built.file({ content: 'the content of a file', mode: 0o600 });
    const path = join(built.path, 'objects', objectPath(checksum, extension));
    const good = readFileSync(path);
    const changed = Buffer.from(good);
    changed.writeUInt8(changed.readUInt8(changed.length - 5) ^ 0x20, changed.length - 5);
    const damaged = {
      changed,
      cut: good.subarray(0, -3),
      longer: Buffer.concat([good, Buffer.from('x')]),
    };
    for (const [change, bytes] of Object.entries(damaged)) {
      if (change === 'longer' && mode === 'archive') {
        continue; // what follows the deflate stream is not content
      }
      writeFileSync(path, bytes);
      await assert.rejects(drain(built, checksum), { code: 'CORRUPT' }, change);
    }
    writeFileSync(path, good);
    await drain(built, checksum);
  });

  test(`${mode}: an empty file whose metadata does not match its checksum is refused`, async () => {
    const built = new RepoBuilder(mode);
    const [right, wrong] = [built.file({ mode: 0o600 }), built.file({ mode: 0o644 })];
    const object = (checksum: string) =>
      join(built.path, 'objects', objectPath(checksum, extension));
    if (mode === 'archive') {
      writeFileSync(object(right), readFileSync(object(wrong)));
    } else {
      chmodSync(object(right), 0o644);
    }
    await assert.rejects(drain(built, right), {
      code: 'CORRUPT',
      message: `reading file object ${right} of ${built.path}: its bytes have the checksum ${wrong}`,
    });
  });

  test(`${mode}: a symlink whose target does not match its checksum is refused`, () => {
    const built = new RepoBuilder(mode);
    const link = built.file({ target: 'right' });
    const path = join(built.path, 'objects', objectPath(link, extension));
    if (mode === 'archive') {
      writeFileSync(path, Buffer.from(readFileSync(path)).fill('wrong', 32, 37));
    } else {
      rmSync(path);
      symlinkSync('wrong', path);
    }
    assert.throws(() => openRepo(built.path).fileInfo(link), {
      code: 'CORRUPT',
      message: new RegExp(`reading file object ${link} of .*: its bytes have the checksum`),
    });
  });
}

test('archive: a damaged or cut deflate stream is refused, in small and large files', async () => {
  for (const size of [1000, 9 << 20]) {
    const built = new RepoBuilder('archive');
    const checksum = built.file({ content: Buffer.alloc(size, 'content ') });
    const path = join(built.path, 'objects', objectPath(checksum, 'filez'));
    const good = readFileSync(path);
    writeFileSync(path, good.subarray(0, -2));
    await assert.rejects(drain(built, checksum), {
      code: 'CORRUPT',
      message: /inflating .*unexpected end of file/,
    });
    writeFileSync(path, Buffer.from(good).fill(0xff, 34));
    await assert.rejects(drain(built, checksum), {
      code: 'CORRUPT',
      message: /inflating .*invalid block type/,
    });
  }
});

test('archive: a file that ends within its header is refused', () => {
  const built = new RepoBuilder('archive');
  const checksum = built.file({ content: 'x' });
  const path = join(built.path, 'objects', objectPath(checksum, 'filez'));
  for (const size of [0, 7, 20]) {
    truncateSync(path, size);
    assert.throws(
      () => openRepo(built.path).fileInfo(checksum),
      { code: 'CORRUPT' },
      `${size} bytes`,
    );
    writeFileSync(path, Buffer.from('0000002000000000', 'hex'));
  }
});

test('the error for an object that disappears before it is read names the object', async () => {
  for (const mode of ['archive', 'bare-split-xattrs'] as const) {
    const built = new RepoBuilder(mode);
    const checksum = built.file({ content: 'x' });
    const repo = openRepo(built.path);
    const info = repo.fileInfo(checksum);
    rmSync(
      join(built.path, 'objects', objectPath(checksum, mode === 'archive' ? 'filez' : 'file')),
    );
    await assert.rejects(
      async () => {
        for await (const _ of repo.readFile(checksum, info)) {
        }
      },
      {
        code: 'NOT_FOUND',
        message: new RegExp(`reading file object ${checksum} of ${built.path}: ENOENT`),
      },
    );
  }
});

test('bare-split-xattrs: an object without its file of xattrs is refused', () => {
  const built = new RepoBuilder('bare-split-xattrs');
  const checksum = built.file({ content: 'x' });
  rmSync(join(built.path, 'objects', `${objectPath(checksum, 'file')}-xattrs-link`));
  assert.throws(() => openRepo(built.path).fileInfo(checksum), {
    code: 'NOT_FOUND',
    message: /file-xattrs-link/,
  });
});
