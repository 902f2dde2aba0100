/** `build` at the limits of file systems: what Linux allows is kept, and a full disk is one error. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { forgePlain } from '../support/forge-image.js';
import { ostrata, ostrataProgram, run, tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

/** Builds an image of `root`, and unpacks its layers by GNU tar into the folder that is returned. */
function builtAndUnpacked(root: string, unpacked: string): void {
  const image = join(scratchDirectory(), 'image');
  const args = ['build', '--json', '--compression=none', '--rootfs', root, `oci:${image}`];
  const { layers } = JSON.parse(ostrata(args));
  ostrata(['verify', `oci:${image}`]);
  mkdirSync(unpacked);
  for (const { digest } of layers) {
    const blob = join(image, 'blobs', digest.replace(':', '/'));
    run('tar', ['--xattrs', '--xattrs-include=*', '-xf', blob, '-C', unpacked]);
  }
}

function makeRoot(): string {
  const root = join(scratchDirectory(), 'root');
  mkdirSync(root);
  writeFileSync(join(root, 'file'), 'content');
  return root;
}

/** Calls `body` with a new tmpfs; skips the test where nothing may be mounted. */
function withTmpfs(context: TestContext, body: (folder: string) => void): void {
  const folder = scratchDirectory();
  const mounted = tryRun('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder]);
  if (mounted.status !== 0) {
    context.skip(`nothing may be mounted here: ${mounted.stderr}`);
    return;
  }
  try {
    body(folder);
  } finally {
    run('umount', ['--recursive', folder]);
  }
}

/** Node overflows its stack where a tree is this deep. */
function removeDeep(...folders: readonly string[]): void {
  run('rm', ['-rf', ...folders]);
}

test('paths of nearly 4,096 bytes and names of 255 bytes are kept', needs('tar'), () => {
  const root = makeRoot();
  const deep = `${'d/'.repeat(1900)}file`;
  const long = `${'n'.repeat(255)}/${'\u00e9'.repeat(127)}x`;
  for (const path of [deep, long]) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), path);
  }
  const unpacked = join(scratchDirectory(), 'unpacked');
  builtAndUnpacked(root, unpacked);
  for (const path of [deep, long]) {
    assert.equal(readFileSync(join(unpacked, path), 'utf8'), path);
  }
  removeDeep(root, unpacked);
});

test('a path that is longer than Linux opens is one error', () => {
  const root = makeRoot();
  const half = 'd/'.repeat(1500);
  mkdirSync(join(root, half), { recursive: true });
  const deeper = `cd "$1/$2" && mkdir -p "$2"`;
  run('sh', ['-c', deeper, 'sh', root, half]);
  const { status, stderr } = tryOstrata(['build', '-q', '--rootfs', root, '-']);
  assert.equal(status, 1);
  removeDeep(root);
  assert.match(stderr, /^error: reading: ENAMETOOLONG: name too long.*\n$/);
});

suite('on a file system of its own', needs('root', 'attr', 'tar'), () => {
  test('extended attributes of 64 KiB are kept', (context) => {
    withTmpfs(context, (folder) => {
      const root = join(folder, 'root');
      mkdirSync(root);
      const value = 'x'.repeat(1 << 16);
      writeFileSync(join(root, 'file'), '');
      for (const name of ['security.one', 'security.two']) {
        run('setfattr', ['-n', name, '-v', value, join(root, 'file')]);
      }
      const unpacked = join(folder, 'unpacked');
      builtAndUnpacked(root, unpacked);
      for (const name of ['security.one', 'security.two']) {
        const args = ['--only-values', '-n', name, join(unpacked, 'file')];
        assert.equal(run('getfattr', ['--absolute-names', ...args]), value);
      }
    });
  });

  test('a tree that is mounted below itself is built once more, not forever', (context) => {
    withTmpfs(context, (folder) => {
      const root = join(folder, 'root');
      mkdirSync(join(root, 'again'), { recursive: true });
      writeFileSync(join(root, 'file'), 'content');
      run('mount', ['--bind', root, join(root, 'again')]);
      const unpacked = join(folder, 'unpacked');
      builtAndUnpacked(root, unpacked);
      assert.equal(readFileSync(join(unpacked, 'again/file'), 'utf8'), 'content');
    });
  });
});

test('a spool that two layers fill together names what to do', (context) => {
  withTmpfs(context, (folder) => {
    const big = (name: string) => ({
      ...{ name, type: 'file' as const, mode: 0o644, content: Buffer.alloc(10 << 20, name) },
    });
    const { imgref } = forgePlain([[big('a')], [big('b')]]);
    const target = `oci:${scratchDirectory()}/image`;
    const args = ['build', '-q', `--from=${imgref}`, `--spool=${folder}`, target];
    const { status, stderr } = tryOstrata(args);
    assert.equal(status, 1);
    const message =
      /^error: reading oci:.*writing: ENOSPC: .*; --spool or TMPDIR names another folder\n$/;
    assert.match(stderr, message);
    assert.deepEqual(readdirSync(folder), []);
  });
});

suite('a destination that cannot be written is one error, and nothing is left', () => {
  for (const transport of ['oci', 'oci-archive']) {
    test(`${transport}: a file larger than may be written`, () => {
      const root = makeRoot();
      writeFileSync(join(root, 'big'), Buffer.alloc(1 << 20));
      const scratch = scratchDirectory();
      const build = [ostrataProgram, 'build', '-q', '--no-cache', '--compression=none'];
      const args = [...build, '--rootfs', root, `${transport}:${scratch}/image`];
      const script = 'ulimit -f 100; exec "$@"';
      const { status, stderr } = tryRun('sh', ['-c', script, 'sh', process.execPath, ...args]);
      assert.equal(status, 1);
      assert.match(stderr, /^error: writing .*: EFBIG: file too large, write\n$/);
      assert.deepEqual(readdirSync(scratch), []);
    });

    test(`${transport}: a destination below a file`, () => {
      const root = makeRoot();
      const scratch = scratchDirectory();
      writeFileSync(join(scratch, 'file'), '');
      const destination = `${transport}:${scratch}/file/image`;
      const { status, stderr } = tryOstrata(['build', '-q', '--rootfs', root, destination]);
      assert.equal(status, 1);
      assert.match(stderr, /^error: .*file\/image.*\n$/);
      assert.deepEqual(readdirSync(scratch), ['file']);
    });
  }
});
