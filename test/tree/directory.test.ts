/** The tree below a directory of this machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/log.js';
import { lookupDirectory } from '../../src/tree/directory.js';
import { type DirectoryTreeOptions, openDirectoryTree } from '../../src/tree/directory-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const scratch = scratchDirectory();

/** Makes a root with symlinks, some of which lead out of it unless they are followed within it. */
function makeRoot(name: string): string {
  const root = join(scratch, name);
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/bin/sh'), 'the shell', { mode: 0o755 });
  writeFileSync(join(root, 'usr/empty'), '');
  symlinkSync('usr/bin', join(root, 'bin'));
  symlinkSync('/usr/bin/sh', join(root, 'absolute'));
  symlinkSync('../../../../etc/passwd', join(root, 'above'));
  symlinkSync('/', join(root, 'usr/loop'));
  return root;
}
function open(root: string, options: Partial<DirectoryTreeOptions> = {}) {
  const { signal } = new AbortController();
  return openDirectoryTree(root, { log: silentLogger, signal, jobs: 2, ...options });
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test('a directory is walked without following symlinks', async () => {
  const tree = await open(`${makeRoot('walk')}/`);
  assert.equal(tree.name, join(scratch, 'walk'));
  assert.deepEqual(
    [...tree.files].map(({ path, type }) => `${path} ${type}`),
    [
      '/ directory',
      '/above symlink',
      '/absolute symlink',
      '/bin symlink',
      '/usr directory',
      '/usr/bin directory',
      '/usr/bin/sh file',
      '/usr/empty file',
      '/usr/loop symlink',
    ],
  );
  const shell = tree.files.get('/usr/bin/sh');
  assert.deepEqual([shell?.mode, shell?.type === 'file' && shell.size], [0o100755, 9]);
  assert.equal(
    text(Buffer.concat([...(tree.read('/usr/bin/sh') as Iterable<Uint8Array>)])),
    'the shell',
  );
  assert.equal(text(await tree.bytes('/usr/loop/bin/sh')), 'the shell');
  assert.equal((await tree.bytes('/usr/empty')).length, 0);
  for (const path of ['/above', '/usr', '/gone'] as const) {
    await assert.rejects(tree.bytes(path), {
      code: 'NOT_FOUND',
      message: new RegExp(`no regular file ${path} in `),
    });
    assert.throws(() => tree.read(path), { code: 'NOT_FOUND' });
  }
});

test('single paths are looked up through symlinks, which never lead out of the root', async () => {
  const { files, bytes } = lookupDirectory(makeRoot('lookup'));
  assert.equal(files.resolve('/bin/sh')?.path, '/usr/bin/sh');
  assert.equal(files.resolve('/absolute')?.type, 'symlink');
  assert.equal(files.resolve('/absolute', true)?.path, '/usr/bin/sh');
  assert.equal(files.resolve('/')?.type, 'directory');
  for (const path of ['/above', '/usr/bin/sh/below', `/${'x'.repeat(300)}`, '/gone']) {
    assert.equal(files.resolve(path, true), undefined, path);
  }
  assert.equal(text(await bytes('/absolute')), 'the shell');
});

test('the root can be a symlink, and has to be a directory', async () => {
  const root = makeRoot('real');
  symlinkSync(root, join(scratch, 'link'));
  assert.equal((await open(join(scratch, 'link'))).files.size, 9);
  await assert.rejects(open(join(root, 'usr/empty')), { code: 'NOT_FOUND' });
  assert.throws(() => lookupDirectory(join(scratch, 'nowhere')), {
    code: 'NOT_FOUND',
    message: /there is no directory .*nowhere/,
  });
});

test('a pipe is an error or left out, and a name that is not UTF-8 is refused', async () => {
  const root = makeRoot('names');
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => warnings.push(message) };
  await assert.rejects(open(root, { log }), {
    code: 'UNSUPPORTED',
    message: /names\/pipe is a socket, a pipe or a device; --skip-special-files leaves/,
  });
  await open(root, { log, skipSpecialFiles: true });
  assert.match(warnings.join(), /names: 1 sockets, pipes or devices are left out/);
  const odd = Buffer.concat([Buffer.from(`${root}/usr/caf`), Buffer.of(0xe9)]);
  writeFileSync(odd, '');
  await assert.rejects(open(root, { skipSpecialFiles: true }), {
    code: 'UNSUPPORTED',
    message: /names\/usr\/: the file name "café" \(as Latin-1\) is not UTF-8/,
  });
  rmSync(odd);
  symlinkSync(Buffer.of(0xe9), join(root, 'link'));
  await assert.rejects(open(root, { skipSpecialFiles: true }), {
    code: 'UNSUPPORTED',
    message: /symlink target é is not UTF-8/,
  });
});

test('a file that changes its size before it is read is refused', async () => {
  const root = makeRoot('changing');
  const tree = await open(root);
  for (const content of ['longer than before', 'less']) {
    writeFileSync(join(root, 'usr/bin/sh'), content);
    assert.throws(() => Buffer.concat([...(tree.read('/usr/bin/sh') as Iterable<Uint8Array>)]), {
      code: 'IO',
      message: /changed while it was read: it had 9 bytes/,
    });
  }
});

test(
  'checksums of files and symlinks are those that ostree computes',
  needs('ostree', 'attr'),
  async () => {
    const root = makeRoot('checksums');
    execFileSync('setfattr', ['-n', 'user.zz', '-v', 'value', join(root, 'usr/bin/sh')]);
    for (const entry of (await open(root)).files) {
      if (entry.type === 'directory') {
        continue;
      }
      const computed = execFileSync('ostree', ['checksum', root + entry.path], {
        encoding: 'utf8',
      }).trim();
      assert.equal(entry.checksum, computed, entry.path);
    }
  },
);
