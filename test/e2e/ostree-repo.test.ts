/**
 * Repositories of every mode, written by the real `ostree`: we read the tree that `ostree ls`
 * lists. Needs root (bare repositories keep owners) and the programs ostree and setfattr.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { must } from '../../src/errors.js';
import type { GVariantValue } from '../../src/ostree/gvariant/value.js';
import { encodeCommit } from '../../src/ostree/objects/commit.js';
import { objectPath, sha256Hex } from '../../src/ostree/objects/object-name.js';
import { openRepo } from '../../src/ostree/repo.js';
import { getXattr, listXattrs } from '../../src/system/xattr.js';
import { type CommitTree, openCommitTree } from '../../src/tree/commit.js';
import type { FileEntry } from '../../src/tree/tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const { skip } = needs('root', 'ostree', 'attr');
const work = scratchDirectory();
const at = (name: string) => join(work, name);

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const MODES = ['bare', 'archive', 'bare-user', 'bare-split-xattrs'] as const;
const LARGE = Buffer.alloc(9 << 20, 'more than one chunk, compressible\n');
const BINARY = '0x00ff0100';
let commit: string;

function makeTree(root: string): void {
  const write = (name: string, content: string | Uint8Array, mode = 0o644) => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
    chmodSync(join(root, name), mode);
  };
  write('usr/bin/setuid', 'setuid', 0o4755);
  write('usr/bin/unreadable', 'mode 0000', 0);
  write('usr/bin/capable', 'with file capabilities', 0o755);
  write('usr/share/empty', '');
  write('usr/share/empty-with-xattr', '');
  write('usr/share/large', LARGE);
  write('usr/share/same 1', 'one object');
  write('usr/share/same 2', 'one object');
  write('usr/share/foreign', 'foreign owner', 0o640);
  for (const name of [
    'with space',
    'new\nline',
    '"quoted" \\ back',
    'ünï-☃',
    '\u{1f600}',
    '...',
    'n'.repeat(255),
  ]) {
    write(`usr/names/${name}`, name);
  }
  mkdirSync(join(root, 'usr/a/empty'), { recursive: true });
  mkdirSync(join(root, 'usr/a-b'), { mode: 0o1777 });
  chmodSync(join(root, 'usr/a-b'), 0o1777);
  symlinkSync('usr/bin', join(root, 'bin'));
  symlinkSync('../..//chkconfig', join(root, 'usr/share/denormal'));
  symlinkSync('nowhere ☃', join(root, 'usr/share/broken'));
  chownSync(join(root, 'usr/share/foreign'), 4294967294, 70_000);
  lchownSync(join(root, 'usr/share/broken'), 12, 34);
  const setfattr = (name: string, value: string, path: string) =>
    run('setfattr', '-h', '-n', name, '-v', value, join(root, path));
  setfattr('security.capability', '0x0100000200040000000000000000000000000000', 'usr/bin/capable');
  setfattr('user.z', BINARY, 'usr/share/empty-with-xattr');
  setfattr('user.a', 'text', 'usr/share/empty-with-xattr');
  setfattr('user.empty', '', 'usr/share/empty-with-xattr'); // libostree leaves it out
  setfattr('user.dir', 'text', 'usr/a');
  setfattr('trusted.link', 'text', 'usr/share/broken');
}

/** Makes the repository that an unpacked image holds: files as in bare mode, xattrs beside them. */
function makeSplitXattrs(from: CommitTree, to: string): void {
  const object = (checksum: string, extension: string) =>
    join(to, 'objects', objectPath(checksum, extension));
  const write = (path: string, bytes: Uint8Array | string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  };
  write(join(to, 'config'), '[core]\nrepo_version=1\nmode=bare-split-xattrs\n');
  write(object(from.commit.checksum, 'commit'), from.commit.bytes);
  for (const { dirtree, dirmeta } of from.directories) {
    write(object(dirtree, 'dirtree'), from.loadBytes(dirtree, 'dirtree'));
    write(object(dirmeta, 'dirmeta'), from.loadBytes(dirmeta, 'dirmeta'));
  }
  for (const entry of from.files) {
    if (entry.type === 'directory') {
      continue;
    }
    const info = must(from.objects.get(entry.checksum), entry.path);
    const path = object(entry.checksum, 'file');
    write(`${path}-xattrs-link`, info.xattrsBytes);
    rmSync(path, { force: true });
    if (info.target !== undefined) {
      symlinkSync(info.target, path);
    } else {
      copyFileSync(join(from.content.path, 'objects', objectPath(entry.checksum, 'file')), path);
    }
    lchownSync(path, info.uid, info.gid);
    if (info.target === undefined) {
      chmodSync(path, info.mode & 0o7777);
    }
  }
}

before(() => {
  if (skip) {
    return;
  }
  makeTree(at('tree'));
  for (const mode of ['bare', 'archive', 'bare-user']) {
    run('ostree', 'init', `--repo=${at(mode)}`, `--mode=${mode}`);
  }
  const metadata = [
    'version="1.2"',
    'au=[uint32 1, 2]',
    "v=<<('x', @mi 5, byte 0x07)>>",
    'as=@as []',
    "dict={'k': <1.5>, 'l': <@ax [-5]>}",
    'deep=[(true, [byte 1, 2], {uint16 5: int64 -7})]',
  ].map((each) => `--add-metadata=${each}`);
  commit = run(
    'ostree',
    'commit',
    `--repo=${at('bare')}`,
    '--branch=test/main',
    '--subject=a subject',
    '--body=a body ☃',
    '--timestamp=2024-02-03 04:05:06 +0000',
    '--add-detached-metadata-string=detached=yes',
    ...metadata,
    at('tree'),
  ).trim();
  for (const mode of ['archive', 'bare-user']) {
    run('ostree', 'pull-local', `--repo=${at(mode)}`, at('bare'), 'test/main', '--remote=origin');
  }
  makeSplitXattrs(openCommitTree(openRepo(at('bare')), commit), at('bare-split-xattrs'));
});

/** Prints an entry as a line of `ostree ls -C`. */
function line(entry: FileEntry, directories: ReadonlyMap<string, string>): string {
  const letter = { file: '-', symlink: 'l', directory: 'd' }[entry.type];
  const size = entry.type === 'directory' ? 0 : entry.size;
  const checksum = entry.type === 'directory' ? directories.get(entry.path) : entry.checksum;
  const target = entry.type === 'symlink' ? ` -> ${entry.target}` : '';
  const mode = (entry.mode & 0o7777).toString(8).padStart(5, '0');
  return `${letter}${mode} ${entry.uid} ${entry.gid} ${String(size).padStart(6)} ${checksum} ${entry.path}${target}\n`;
}

for (const mode of MODES) {
  test(`mode ${mode} gives the listing of ostree ls and every byte of the tree`, {
    skip,
  }, async () => {
    const tree = openCommitTree(openRepo(at(mode)), commit);
    const directories = new Map(
      tree.directories.map((each) => [each.path as string, `${each.dirtree} ${each.dirmeta}`]),
    );
    const listing = run('ostree', 'ls', '-R', '-C', `--repo=${at('bare')}`, commit);
    const ours = [...tree.files].map((entry) => line(entry, directories));
    assert.equal(listing.length, ours.join('').length);
    for (const each of ours) {
      assert.ok(`\n${listing}`.includes(`\n${each}`), each);
    }
    for (const entry of tree.files) {
      if (entry.type !== 'file') {
        continue;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of tree.read(entry.path)) {
        chunks.push(Buffer.from(chunk));
      }
      assert.ok(
        Buffer.concat(chunks).equals(readFileSync(join(at('tree'), entry.path))),
        entry.path,
      );
    }
  });
}

test('every mode gives the same tree', { skip }, () => {
  const [first, ...others] = MODES.map((mode) => plain(openCommitTree(openRepo(at(mode)), commit)));
  for (const other of others) {
    assert.deepEqual(other, first);
  }
});

function plain(tree: CommitTree): unknown {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return [...tree.files].map((entry) => ({
    ...entry,
    xattrs: [...entry.xattrs].map(([name, value]) => [name, hex(value)]),
  }));
}

test('extended attributes are those that were set', { skip }, () => {
  const { files } = openCommitTree(openRepo(at('archive')), commit);
  const xattrs = (path: string) =>
    [...(files.get(path)?.xattrs ?? [])].map(([name, value]) => [
      name,
      Buffer.from(value).toString('hex'),
    ]);
  const text = Buffer.from('text').toString('hex');
  assert.deepEqual(xattrs('/usr/share/empty-with-xattr'), [
    ['user.a', text],
    ['user.z', BINARY.slice(2)],
  ]);
  assert.deepEqual(xattrs('/usr/a'), [['user.dir', text]]);
  assert.deepEqual(xattrs('/usr/share/broken'), [['trusted.link', text]]);
  assert.deepEqual(
    xattrs('/usr/bin/capable').map(([name]) => name),
    ['security.capability'],
  );
});

test('an xattr without a value in a bare repository does not belong to the object', {
  skip,
}, async () => {
  const repo = openRepo(at('bare'));
  const entry = openCommitTree(repo, commit).files.get('/usr/share/foreign');
  assert.ok(entry?.type === 'file');
  const path = join(at('bare'), 'objects', objectPath(entry.checksum, 'file'));
  run('setfattr', '-n', 'user.empty', path);
  run('ostree', 'fsck', `--repo=${at('bare')}`, '-q');
  assert.equal(repo.fileInfo(entry.checksum).xattrs.size, 0);
  for await (const _ of repo.readFile(entry.checksum)) {
  }
  run('setfattr', '-x', 'user.empty', path);
});

test('GVariants that GLib wrote are encoded again to the same checksum', { skip }, () => {
  const repo = openRepo(at('bare'));
  const { parsed } = repo.loadCommit(commit);
  const { metadata } = parsed;
  assert.deepEqual(
    [parsed.subject, parsed.body, parsed.timestamp],
    ['a subject', 'a body ☃', 1706933106],
  );
  const value = (key: string) => plainValue(metadata.get(key)?.value as GVariantValue);
  assert.equal(value('version'), '1.2');
  assert.deepEqual(value('au'), [1, 2]);
  assert.deepEqual(value('v'), { type: 'v', value: { type: '(smiy)', value: ['x', [5], 7] } });
  assert.deepEqual(value('as'), []);
  assert.equal(metadata.get('dict')?.type, 'a{sv}');
  assert.deepEqual(value('deep'), [[true, [1, 2], [[5, -7n]]]]);
  assert.equal(sha256Hex(encodeCommit(parsed)), commit);
  assert.deepEqual(
    repo.loadCommitMeta(commit)?.parsed,
    new Map([['detached', { type: 's', value: 'yes' }]]),
  );
});

function plainValue(value: GVariantValue): unknown {
  if (value instanceof Uint8Array) {
    return [...value];
  }
  if (Array.isArray(value)) {
    return value.map(plainValue);
  }
  if (typeof value === 'object' && 'type' in value) {
    return { type: value.type, value: plainValue(value.value) };
  }
  return value;
}

test('a commit is found by ref, remote ref and abbreviated id', { skip }, () => {
  assert.equal(openRepo(at('bare')).resolve('test/main'), commit);
  assert.equal(openRepo(at('archive')).resolve('origin:test/main'), commit);
  assert.equal(openRepo(at('archive')).resolve('test/main'), commit);
  assert.equal(openRepo(at('bare-split-xattrs')).resolve(commit.slice(0, 12)), commit);
});

test('a commit of canonical permissions is read from bare-user-only', { skip }, async () => {
  const root = at('canonical');
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/program'), 'a program', { mode: 0o755 });
  writeFileSync(join(root, 'usr/empty'), '');
  symlinkSync('usr/bin', join(root, 'bin'));
  const repo = at('bare-user-only');
  run('ostree', 'init', `--repo=${repo}`, '--mode=bare-user-only');
  const id = run(
    'ostree',
    'commit',
    `--repo=${repo}`,
    '-b',
    'main',
    '--canonical-permissions',
    root,
  ).trim();
  run('ostree', 'init', `--repo=${at('canonical-archive')}`, '--mode=archive');
  run('ostree', 'pull-local', `--repo=${at('canonical-archive')}`, repo, 'main');
  const trees = [repo, at('canonical-archive')].map((path) => openCommitTree(openRepo(path), id));
  assert.deepEqual(plain(trees[0] as CommitTree), plain(trees[1] as CommitTree));
  for (const { read, bytes } of trees) {
    for await (const _ of read('/usr/empty')) {
    }
    assert.equal(Buffer.from(await bytes('/bin/program')).toString(), 'a program');
  }
});

test('damaged objects are found in every mode', { skip }, async () => {
  for (const mode of MODES) {
    const repo = openRepo(at(mode));
    const { files } = openCommitTree(repo, commit);
    const entry = files.get('/usr/share/same 1');
    assert.ok(entry?.type === 'file');
    const path = join(
      at(mode),
      'objects',
      objectPath(entry.checksum, mode === 'archive' ? 'filez' : 'file'),
    );
    const good = readFileSync(path);
    const damaged = Buffer.from(good);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 4) ^ 1, damaged.length - 4);
    writeFileSync(path, damaged);
    await assert.rejects(
      async () => {
        for await (const _ of repo.readFile(entry.checksum)) {
        }
      },
      { code: 'CORRUPT' },
      mode,
    );
    writeFileSync(path, good);
    utimesSync(path, 0, 0);
  }
});

test('a bare-user object without its metadata is an error', { skip }, () => {
  const repo = openRepo(at('bare-user'));
  const entry = openCommitTree(repo, commit).files.get('/usr/share/same 1');
  assert.ok(entry?.type === 'file');
  const path = join(at('bare-user'), 'objects', objectPath(entry.checksum, 'file'));
  const value = Buffer.from(getXattr(path, 'user.ostreemeta') ?? []).toString('hex');
  run('setfattr', '-x', 'user.ostreemeta', path);
  assert.throws(() => repo.fileInfo(entry.checksum), {
    code: 'CORRUPT',
    message: /has no xattr user.ostreemeta/,
  });
  run('setfattr', '-n', 'user.ostreemeta', '-v', '0x0000', path);
  assert.throws(() => repo.fileInfo(entry.checksum), { code: 'CORRUPT', message: /GVariant/ });
  run('setfattr', '-n', 'user.ostreemeta', '-v', `0x${value}`, path);
  assert.equal(repo.fileInfo(entry.checksum).size, 10);
});

test('xattrs of files and symlinks are read, also in a worker thread', { skip }, async () => {
  const link = join(at('tree'), 'usr/share/broken');
  assert.deepEqual(
    listXattrs(link).map(([name]) => Buffer.from(name).toString()),
    ['trusted.link'],
  );
  assert.equal(getXattr(link, 'user.none'), undefined);
  assert.throws(() => listXattrs(at('gone')), {
    code: 'NOT_FOUND',
    message: /listing the xattrs of .*gone: ENOENT/,
  });
  assert.throws(() => getXattr(at('gone'), 'user.x'), { code: 'NOT_FOUND' });
  assert.throws(() => listXattrs('a\0b'), { code: 'USAGE' });
  const module = new URL('../../src/system/xattr.js', import.meta.url).href;
  const worker = new Worker(
    `import(${JSON.stringify(module)}).then(({ getXattr }) =>
      require('node:worker_threads').parentPort.postMessage(getXattr(${JSON.stringify(link)}, 'trusted.link')))`,
    { eval: true },
  );
  const value = await new Promise<Uint8Array>((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  );
  assert.equal(Buffer.from(value).toString(), 'text');
});
