/** Plain images that umoci and buildah make are pulled as the trees that umoci unpacks of them. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { fsck, pull, refs } from '../support/client.js';
import { ostrata, run } from '../support/run.js';
import { differences, type Scan, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo } from '../support/world.js';
import { put } from '../support/world-packages.js';

/** Their content is not part of a commit. */
const MOUNT_POINTS = /^(run|tmp|proc|sys|dev)\/./;

/** Converts what umoci unpacks to the form of a commit. */
function expectedTree(unpacked: Scan): Scan {
  const expected: Scan = new Map();
  for (const [path, entry] of unpacked) {
    if (!MOUNT_POINTS.test(path) && !/^etc\/(hostname|resolv\.conf)$/.test(path)) {
      const name = path.replace(/^etc(?=\/|$)/, 'usr/etc');
      expected.set(name, entry);
    }
  }
  return expected;
}

suite('a plain image', needs('ostree', 'umoci', 'attr', 'cap', 'root'), () => {
  let scratch: string;
  let repo: string;
  let layout: string;

  const umoci = (...args: string[]) => run('umoci', args, { cwd: scratch });

  before(() => {
    scratch = scratchDirectory();
    repo = initRepo(join(scratch, 'repo'), 'bare');
    layout = join(scratch, 'image');
    umoci('init', '--layout', layout);
    umoci('new', '--image', `${layout}:v0`);
  });

  /** Makes the image `to` by a layer on `from` with what `change` does to the root. */
  function addLayer(from: string, to: string, change: (root: string) => void): void {
    const bundle = join(scratch, `bundle-${to}`);
    umoci('unpack', '--image', `${layout}:${from}`, bundle);
    change(join(bundle, 'rootfs'));
    umoci('repack', '--image', `${layout}:${to}`, bundle);
  }

  const unpacked = (tag: string): Scan => {
    const bundle = join(scratch, `unpacked-${tag}`);
    umoci('unpack', '--image', `${layout}:${tag}`, bundle);
    return scan(join(bundle, 'rootfs'));
  };

  function pulledTree(tag: string): Scan {
    const { mergeCommit } = pull(repo, `ostree-unverified-image:oci:${layout}:${tag}`);
    fsck(repo);
    const checkout = join(scratch, `checkout-${tag}`);
    run('ostree', [`--repo=${repo}`, 'checkout', '-H', mergeCommit ?? '', checkout]);
    return scan(checkout);
  }

  test('of umoci is pulled as the tree that umoci unpacks', () => {
    addLayer('v0', 'v1', (root) => {
      chmodSync(root, 0o755);
      for (const [path, text] of [
        ['etc/conf', 'conf'],
        ['etc/hostname', ''],
        ['usr/bin/tool', 'tool'],
        ['usr/bin/net', 'net'],
        ['usr/share/data/one', '1'],
        ['usr/share/whole/two', '2'],
        ['var/lib/state', 'state'],
        ['opt/vendor/file', 'vendor'],
        ['boot/loader', 'loader'],
        ['run/pid', '1'],
        ['tmp/left', 'left'],
      ] as const) {
        put(root, path, text);
      }
      linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/hard'));
      symlinkSync('tool', join(root, 'usr/bin/soft'));
      symlinkSync('usr/bin', join(root, 'bin'));
      chmodSync(join(root, 'usr/bin/tool'), 0o4755);
      chownSync(join(root, 'var/lib'), 12, 34);
      chmodSync(join(root, 'tmp'), 0o1777);
      run('setcap', ['cap_net_raw+ep', join(root, 'usr/bin/net')]);
      run('setfattr', ['-n', 'user.note', '-v', 'x', join(root, 'usr/share/data/one')]);
      run('setfattr', ['-n', 'user.note', '-v', 'd', join(root, 'usr/share/data')]);
      run('mknod', [join(root, 'dev-null'), 'p']);
      rmSync(join(root, 'dev-null'));
      mkdirSync(join(root, 'dev'));
      run('mknod', [join(root, 'dev/null'), 'c', '1', '3']);
    });
    const tree = pulledTree('v1');
    assert.deepEqual(differences(tree, expectedTree(unpacked('v1'))), []);
    const tool = tree.get('usr/bin/tool');
    assert.deepEqual([tool?.mode, tree.get('usr/bin/hard')?.inode], [0o4755, tool?.inode]);
    assert.match(tree.get('usr/bin/net')?.xattrs.join() ?? '', /^security\.capability=0x/);
    assert.ok(tree.has('opt/vendor/file') && tree.has('bin') && !tree.has('dev/null'));
  });

  test('with whiteouts and replaced files is pulled as the tree that umoci unpacks', () => {
    addLayer('v1', 'v2', (root) => {
      rmSync(join(root, 'usr/share/whole'), { recursive: true });
      rmSync(join(root, 'etc/conf'));
      rmSync(join(root, 'usr/share/data/one'));
      put(root, 'usr/share/data/one/now-a-directory', 'new');
      put(root, 'usr/bin/tool2', 'tool2');
    });
    const tree = pulledTree('v2');
    assert.deepEqual(differences(tree, expectedTree(unpacked('v2'))), []);
    assert.ok(!tree.has('usr/etc/conf') && tree.has('usr/share/data/one/now-a-directory'));
  });

  test('keeps owner and mode of a directory that a higher layer changes, as with ostree-ext', () => {
    addLayer('v2', 'v3', (root) => {
      chmodSync(join(root, 'usr/share/data'), 0o700);
      put(root, 'usr/share/data/three', '3');
    });
    const [tree, expected] = [pulledTree('v3'), expectedTree(unpacked('v3'))];
    assert.equal(expected.get('usr/share/data')?.mode, 0o700);
    assert.equal(tree.get('usr/share/data')?.mode, 0o755);
    tree.delete('usr/share/data');
    expected.delete('usr/share/data');
    assert.deepEqual(differences(tree, expected), []);
  });

  test('is pulled with those of its layers that no other image has', () => {
    const fetched = ['v1', 'v2', 'v3'].map((tag) => {
      const { layersFetched } = pull(repo, `ostree-unverified-image:oci:${layout}:${tag}`);
      return layersFetched;
    });
    assert.deepEqual(fetched, [0, 0, 0]);
    assert.equal(refs(repo).filter((ref) => ref.startsWith('ostree/container/blob/')).length, 3);
  });

  test('is listed, shown, copied and removed like any other', () => {
    const images = ostrata(['container', 'image', 'list', `--repo=${repo}`])
      .trim()
      .split('\n');
    assert.deepEqual(
      images,
      ['v1', 'v2', 'v3'].map((tag) => `oci:${layout}:${tag}`),
    );
    const image = images[1] as string;
    const history = ostrata(['container', 'image', 'history', `--repo=${repo}`, image]);
    assert.equal(history.trim().split('\n').length, 3);
    const other = initRepo(join(scratch, 'other'), 'archive');
    ostrata(['container', 'image', 'copy', `--src-repo=${repo}`, `--dest-repo=${other}`, image]);
    fsck(other);
    ostrata(['container', 'image', 'remove', `--repo=${other}`, image]);
    assert.deepEqual(refs(other), []);
  });

  test('is inspected, described, compared and verified', () => {
    const image = (tag: string) => `oci:${layout}:${tag}`;
    const [inspected, info] = [
      ostrata(['inspect', image('v2')]),
      ostrata(['container', 'info', image('v2')]),
    ];
    assert.match(inspected, /commit {3}none: this is a plain image\n2 layers, /);
    assert.match(inspected, /\n +1 +sha256:.* umoci repack/);
    assert.match(info, /\ncommit: {2}none: this is a plain image\nlayers: {2}2\n/);
    const compared = ostrata(['container', 'compare', image('v1'), image('v3')]);
    assert.match(compared, /removed: 0 layers, .*\nadded: {3}2 layers/);
    const verified = ostrata(['verify', image('v3')]);
    assert.match(
      verified,
      /: valid\nno ostree commit\n3 plain layers checked for size, digest, diff_id, tar archive/,
    );
  });

  test('of buildah is pulled as the tree that umoci unpacks', needs('buildah'), () => {
    const context = join(scratch, 'context');
    put(context, 'files/usr/bin/tool', 'tool', 0o755);
    put(context, 'files/etc/conf', 'conf');
    put(context, 'one', '1');
    const containerfile = [
      'FROM scratch',
      'COPY files /',
      'COPY --chown=5:6 one /opt/one',
      'COPY one /var/lib/one',
    ];
    writeFileSync(join(context, 'Containerfile'), containerfile.join('\n'));
    const storage = ['storage', 'run'].map((name) => join(scratch, name));
    const buildah = (...args: string[]) =>
      run('buildah', [
        `--root=${storage[0]}`,
        `--runroot=${storage[1]}`,
        '--storage-driver=vfs',
        ...args,
      ]);
    buildah('bud', '--isolation=chroot', '--layers', '--quiet', '--tag=plain', context);
    buildah('push', '--quiet', 'plain', `oci:${layout}:buildah`);
    const tree = pulledTree('buildah');
    assert.deepEqual(differences(tree, expectedTree(unpacked('buildah'))), []);
    assert.deepEqual([tree.get('opt/one')?.uid, tree.get('opt/one')?.gid], [5, 6]);
  });
});
