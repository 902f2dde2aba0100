/** Other container tools accept our images: skopeo, umoci and podman. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { encapsulate, type Image, readImage } from '../support/read-image.js';
import { ostrata, run } from '../support/run.js';
import { differences, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { KERNEL, type World, world, worldNeeds } from '../support/world.js';

suite('other tools accept the image', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let image: Image;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    image = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--cmd=/usr/bin/sh'], {
      tag: 'v1',
    }).image;
  });

  const skopeo = (...args: string[]) => run('skopeo', ['--insecure-policy', ...args]);

  test('skopeo inspects it', needs('skopeo'), () => {
    const found = JSON.parse(skopeo('inspect', image.reference)) as {
      Digest: string;
      Labels: Record<string, string>;
      Layers: string[];
      Architecture: string;
    };
    assert.equal(found.Digest, image.manifestDigest);
    assert.equal(found.Labels['ostree.commit'], given.oldCommit);
    assert.equal(found.Labels['ostree.linux'], KERNEL);
    assert.equal(found.Labels['containers.bootc'], '1');
    assert.deepEqual(
      found.Layers,
      image.manifest.layers.map(({ digest }) => digest),
    );
    assert.equal(found.Architecture, image.config.architecture);
  });

  test('skopeo copies it to dir: and back, unchanged', needs('skopeo'), () => {
    const there = `dir:${join(scratch, 'as-dir')}`;
    skopeo('copy', '--quiet', '--preserve-digests', image.reference, there);
    skopeo('copy', '--quiet', '--preserve-digests', there, `oci:${join(scratch, 'back')}:v1`);
    assert.equal(readImage(join(scratch, 'back'), 'v1').manifestDigest, image.manifestDigest);
    ostrata(['verify', `oci:${join(scratch, 'back')}:v1`]);
  });

  test('umoci unpacks it to the tree of the commit', needs('umoci'), () => {
    const bundle = join(scratch, 'bundle');
    run('umoci', ['unpack', '--image', `${image.directory}:v1`, bundle]);
    const actual = scan(join(bundle, 'rootfs'), ['sysroot/ostree']);
    const expected = scan(given.oldTree);
    // Go does not decode `%3D` in names of xattrs and umoci clears no xattrs, so this test leaves
    // them to the one with GNU tar.
    const relevant = (tree: typeof actual, path: string) => {
      const entry = tree.get(path);
      assert.ok(entry, `${path} is missing`);
      return { ...entry, xattrs: [], inode: 0n, size: 0n };
    };
    const pick = (tree: typeof actual, from: RegExp, to: string) =>
      new Map(
        [...tree.keys()]
          .filter((path) => from.test(path))
          .map((path) => [path.replace(from, to), relevant(tree, path)]),
      );
    assert.deepEqual(
      differences(pick(actual, /^usr\//, ''), pick(expected, /^usr\/(?!etc(\/|$))/, '')),
      [],
    );
    assert.deepEqual(
      differences(pick(actual, /^etc\//, ''), pick(expected, /^usr\/etc\//, '')),
      [],
    );
  });

  test('podman loads it and runs its shell', needs('podman'), () => {
    const archive = join(scratch, 'image.oci');
    ostrata([
      'container-encapsulate',
      `--repo=${given.repo}`,
      'os/old',
      `oci-archive:${archive}:v1`,
    ]);
    const storage = join(scratch, 'storage');
    mkdirSync(storage);
    // The machine's own settings must not matter; vfs works on every file system.
    const config = join(scratch, 'storage.conf');
    const [graph, runRoot] = [join(storage, 'graph'), join(storage, 'run')];
    writeFileSync(
      config,
      `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${runRoot}"\n`,
    );
    const env = { CONTAINERS_STORAGE_CONF: config };
    const podman = (...args: string[]) =>
      run(
        'podman',
        ['--runtime=runc', '--cgroup-manager=cgroupfs', '--events-backend=file', ...args],
        { env },
      );
    try {
      const loaded = /(?:sha256:)?([0-9a-f]{64})|Loaded image: (\S+)/.exec(
        podman('load', '--input', archive),
      );
      const name = loaded?.[1] ?? loaded?.[2];
      assert.ok(name, 'podman load names the image');
      const limits = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];
      const script = 'read -r line < /etc/motd && echo "shell: $line"';
      const output = podman(
        'run',
        '--rm',
        '--network=none',
        ...limits,
        name,
        '/usr/bin/sh',
        '-c',
        script,
      );
      assert.equal(output, 'shell: An etc file without a config flag.\n');
    } finally {
      podman('system', 'reset', '--force');
    }
  });
});
