/** An image that buildah builds on ours is pulled as the tree that its containers see. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fsck, pull } from '../support/client.js';
import { encapsulate } from '../support/read-image.js';
import { run, tryOstrata, tryRun } from '../support/run.js';
import { differences, type Scan, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';
import { put } from '../support/world-packages.js';

/**
 * The image has only a shell: the programs that `RUN` calls are copied from this machine, then
 * removed.
 */
const PROGRAMS = ['chmod', 'chown', 'ln', 'mkdir', 'rm', 'setcap'];

/** The xattr of `cap_net_raw+ep`, as the kernel stores it. */
const NET_RAW = 'security.capability=0x0100000200200000000000000000000000000000';

const containerfile = `
FROM oci:image:latest
COPY tools /usr/tools
ENV PATH=/usr/tools LD_LIBRARY_PATH=/usr/tools/lib
COPY --chown=12:34 files/one /usr/bin/added
COPY files/one /usr/bin/setuid-tool
COPY files/whole /usr/share/whole
COPY files/one /etc/derived/one
COPY files/one /opt/vendor/one
COPY files/one /var/lib/state/one
RUN rm /usr/bin/capable && rm -r /usr/share/unowned
RUN rm -r /usr/share/app && mkdir /usr/share/app && echo new > /usr/share/app/new
RUN chmod 4755 /usr/share/whole/tool && chown 5:6 /usr/share/whole/sub && chmod 1777 /usr/share/whole/sub
RUN setcap cap_net_raw+ep /usr/bin/added && chmod 600 /usr/share/big.bin
RUN ln /usr/share/whole/tool /usr/share/whole/hard && ln -s tool /usr/share/whole/soft && rm /usr/share/whole/gone
RUN rm -r /usr/tools
`;

function installTools(directory: string): void {
  mkdirSync(join(directory, 'lib'), { recursive: true });
  for (const program of PROGRAMS) {
    const path = run('sh', [
      '-c',
      'PATH=$PATH:/usr/sbin:/sbin command -v "$1"',
      'sh',
      program,
    ]).trim();
    run('cp', ['-L', path, join(directory, program)]);
    for (const [, library] of run('ldd', [path]).matchAll(/(\/\S+) \(0x/g)) {
      run('cp', ['-L', library as string, join(directory, 'lib')]);
    }
  }
}

/** Converts a container's tree to the form of a commit, without what a commit does not hold. */
function expectedTree(container: Scan): Scan {
  // Files that buildah mounts over, directories that the image needs, and what the pull leaves out.
  const left = /^(etc\/(hostname|resolv\.conf)|sysroot\/ostree|var\/tmp|opt(\/.*)?)$/;
  const expected: Scan = new Map();
  for (const [path, entry] of container) {
    if (left.test(path)) {
      continue;
    }
    // Go does not decode `%3D` in the name of an xattr.
    const xattrs = entry.xattrs.map((line) => line.replace('%3D', '='));
    expected.set(path.replace(/^etc(?=\/|$)/, 'usr/etc'), { ...entry, xattrs });
  }
  return expected;
}

/** Removes labels, and the xattrs of symlinks, which containers do not have. */
function unlabelled(tree: Scan): Scan {
  const shown = (type: string, xattrs: readonly string[]) =>
    type === 'symlink' ? [] : xattrs.filter((line) => !line.startsWith('security.selinux='));
  return new Map(
    [...tree].map(([path, entry]) => [path, { ...entry, xattrs: shown(entry.type, entry.xattrs) }]),
  );
}

suite('an image that buildah builds on ours', needs(...worldNeeds, 'buildah'), () => {
  let given: World;
  let scratch: string;
  let storage: readonly string[];

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    // The machine's own storage is not used; vfs works on every file system.
    storage = [
      `--root=${join(scratch, 'storage')}`,
      `--runroot=${join(scratch, 'run')}`,
      '--storage-driver=vfs',
    ];
  });
  // A mounted container cannot be removed with the scratch directory.
  after(() => {
    buildah('umount', '--all');
    onOverlay('umount', '--all');
  });

  const buildah = (...args: string[]) =>
    run('buildah', [...storage, ...args], { cwd: scratch }).trim();
  const onOverlay = (...args: string[]) => {
    const overlay = [
      `--root=${join(scratch, 'overlay')}`,
      `--runroot=${join(scratch, 'run-overlay')}`,
      '--storage-driver=overlay',
    ];
    return tryRun('buildah', [...overlay, ...args], { cwd: scratch });
  };

  test('is pulled as the tree that its containers see', () => {
    encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=6']);
    const context = join(scratch, 'context');
    installTools(join(context, 'tools'));
    put(context, 'files/one', 'one\n', 0o755);
    for (const name of ['tool', 'gone', 'sub/deep/file']) {
      put(context, `files/whole/${name}`, `${name}\n`);
    }
    writeFileSync(join(context, 'Containerfile'), containerfile);
    buildah('bud', '--isolation=chroot', '--quiet', '--tag=derived', context);
    const target = `oci:${join(scratch, 'derived')}:v1`;
    buildah('push', '--quiet', 'derived', target);
    const root = buildah('mount', buildah('from', 'derived'));

    const repo = initRepo(join(scratch, 'repo'), 'bare');
    const { status, stdout, stderr } = tryOstrata([
      'container',
      'image',
      'pull',
      repo,
      `ostree-unverified-image:${target}`,
    ]);
    assert.equal(status, 0, stderr);
    fsck(repo);
    const checkout = join(scratch, 'checkout');
    run('ostree', [`--repo=${repo}`, 'checkout', '-H', stdout.trim(), checkout]);
    const actual = unlabelled(scan(checkout));
    assert.deepEqual(differences(actual, expectedTree(scan(root, ['sysroot/ostree']))), []);
    const shown = (path: string) => {
      const { mode, uid, gid, xattrs } = actual.get(path) ?? {};
      return [mode?.toString(8), uid, gid, ...(xattrs ?? [])];
    };
    assert.deepEqual(shown('usr/bin/added'), ['755', 12, 34, NET_RAW]);
    assert.deepEqual(shown('usr/share/whole/tool'), ['4755', 0, 0]);
    assert.deepEqual(shown('usr/share/whole/sub'), ['1777', 5, 6]);
    assert.deepEqual(shown('usr/share/big.bin'), ['600', 0, 0]);
    assert.ok(actual.has('usr/etc/derived/one') && actual.has('var/lib/state/one'));
    for (const path of ['usr/bin/capable', 'usr/share/unowned', 'usr/share/app/data', 'opt']) {
      assert.ok(!actual.has(path), path);
    }
    assert.match(stderr, /left out: \/opt: 3/);
  });

  test('has the mode and owner of a directory that a layer replaces', (context) => {
    const build = (...args: string[]) => {
      const { status, stdout, stderr } = onOverlay(...args);
      assert.equal(status, 0, stderr);
      return stdout.trim();
    };

    // Other storage drivers write whiteouts of the files and make no directory opaque.
    const { status: supported, stderr } = onOverlay('info');
    if (supported !== 0) {
      context.skip(`buildah cannot use overlay here: ${stderr}`);
      return;
    }

    encapsulate(given.repo, 'os/old', join(scratch, 'opaque-base'), ['--max-layers=6']);
    const container = build('from', 'oci:opaque-base:latest');
    const path = join(build('mount', container), 'usr/share/app');
    rmSync(path, { recursive: true });
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, 7, 8);
    writeFileSync(join(path, 'secret'), 'secret\n');
    const target = `oci:${join(scratch, 'opaque')}:v1`;
    build('commit', '--quiet', container, target);

    const repo = initRepo(join(scratch, 'repo-opaque'), 'bare');
    const { mergeCommit = '' } = pull(repo, `ostree-unverified-image:${target}`);
    fsck(repo);
    const listed = run('ostree', [`--repo=${repo}`, 'ls', mergeCommit, '/usr/share/app']);
    assert.match(listed, /^d00700 7 8 +0 \/usr\/share\/app\n-0\d+ 0 0 +7 .*\/secret\n$/);
  });
});
