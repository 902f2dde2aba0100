/** Images of other tools: other encodings, compressions and manifests, and derived layers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { unencapsulate as unencapsulateInProcess } from '../../src/client/unencapsulate.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { openImage } from '../../src/transports/image-reference.js';
import type { Traffic } from '../../src/transports/transport.js';
import { fsck, pull, refs, refused, unencapsulate } from '../support/client.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forge } from '../support/forge-image.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const NO_TLS = '--tls-verify=false';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Writes each set of xattrs once, with objects linked to it, as older writers did. */
function linkXattrs(layer: readonly ForgedEntry[]): ForgedEntry[] {
  const written = new Set<string>();
  return layer.flatMap((entry): ForgedEntry[] => {
    if (!entry.name.endsWith('.file-xattrs-link')) {
      return [entry];
    }
    const content = entry.content as Uint8Array;
    const checksum = sha256(content);
    const shared = `sysroot/ostree/repo/objects/${objectPath(checksum, 'file-xattrs')}`;
    const { content: _, ...rest } = entry;
    const link: ForgedEntry = { ...rest, type: 'link', linkname: shared };
    if (written.has(checksum)) {
      return [link];
    }
    written.add(checksum);
    return [{ name: shared, type: 'file', content }, link];
  });
}

const file = (name: string, text: string, more: Partial<ForgedEntry> = {}): ForgedEntry => ({
  ...{ name, type: 'file', mtime: 1, content: Buffer.from(text) },
  ...more,
});
const directory = (name: string, mode = 0o755): ForgedEntry => ({ name, type: 'directory', mode });

/** A policy that knows three types. */
const policy: readonly ForgedEntry[] = [
  file('etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=test\n'),
  file(
    'etc/selinux/test/contexts/files/file_contexts',
    [
      '/.* system_u:object_r:default_t:s0\n',
      '/usr/bin/.* system_u:object_r:bin_t:s0\n',
      '/usr/etc/.* system_u:object_r:etc_t:s0\n',
    ].join(''),
  ),
];

/** Adds, replaces, removes and links files, and brings some that a commit cannot hold. */
const firstLayer: readonly ForgedEntry[] = [
  ...[directory('.'), directory('usr'), directory('usr/bin'), directory('etc')],
  file('usr/bin/added', 'added\n', { mode: 0o755 }),
  file('usr/bin/setuid-tool', 'replaced\n', { mode: 0o4755 }),
  { name: 'usr/bin/.wh.capable', type: 'file' },
  { name: 'usr/bin/hard', type: 'link', linkname: 'usr/bin/added' },
  { name: 'usr/bin/soft', type: 'symlink', linkname: 'added', mode: 0o777 },
  file('usr/bin/net', 'net\n', {
    mode: 0o755,
    xattrs: new Map([
      ['security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex')],
      ['security.selinux', Buffer.from('system_u:object_r:container_file_t:s0\0')],
    ]),
  }),
  ...policy,
  file('etc/hostname', ''),
  directory('usr/share/app'),
  { name: 'usr/share/app/.wh..wh..opq', type: 'file' },
  file('usr/share/app/new', 'new\n'),
  directory('run'),
  file('run/secret', 'x'),
  { name: 'dev/null', type: 'character device' },
  file('custom/file', 'x'),
  file('var/lib/state', 'state\n'),
];

/** Removes a file that the layer below added. */
const secondLayer: readonly ForgedEntry[] = [
  { name: 'usr/bin/.wh.added', type: 'file' },
  directory('usr/share/whole'),
  file('usr/share/whole/a', 'a\n'),
  { name: 'usr/share/.wh.unowned', type: 'file' },
];

const labelOf = (type: string) => new RegExp(`b'system_u:object_r:${type}:s0'`);

suite('images that other tools made', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let old: Image;
  let reader: ImageReader;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    old = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=6']).image;
    reader = await openImage(old.reference);
  });

  test('xattr objects that are hard links to a shared one are read', async () => {
    const { imgref } = await forge(reader, (layers) => {
      for (const [i, layer] of layers.entries()) {
        layers[i] = linkXattrs(layer);
      }
    });
    const repo = initRepo(join(scratch, 'linked'), 'bare-user');
    assert.equal(
      unencapsulate(repo, `ostree-unverified-image:${imgref}`, '--write-ref=os').commit,
      given.oldCommit,
    );
    fsck(repo);
  });

  test('format version 1 with uncompressed layers is read', () => {
    const args = ['--max-layers=6', '--format-version=1', '--compression=none'];
    const { image } = encapsulate(given.repo, 'os/old', join(scratch, 'plain'), args);
    const repo = initRepo(join(scratch, 'plain-repo'), 'archive');
    const imgref = `ostree-unverified-image:${image.reference}`;
    assert.equal(unencapsulate(repo, imgref, '--write-ref=os').commit, given.oldCommit);
    fsck(repo);
  });

  for (const mode of ['bare', 'archive', 'bare-user']) {
    suite(`derived layers in a repository of mode ${mode}`, () => {
      let repo: string;
      let imgref: string;
      let source: string;
      let mergeCommit: string;
      let stderr: string;

      before(async () => {
        ({ imgref } = await forge(reader, () => {}, {}, [firstLayer, secondLayer]));
        source = `ostree-unverified-image:${imgref}`;
        repo = initRepo(join(scratch, `derived-${mode}`), mode);
        const result = tryOstrata(['container', 'image', 'pull', '--json', repo, source]);
        assert.equal(result.status, 0, result.stderr);
        stderr = result.stderr;

        const pulled = JSON.parse(result.stdout.trim().split('\n').at(-1) as string);
        assert.equal(pulled.commit, given.oldCommit);
        mergeCommit = pulled.mergeCommit;
      });

      const ls = (path: string) =>
        run('ostree', [`--repo=${repo}`, 'ls', '-X', mergeCommit, path]).trim();

      /** Paths that `ostree diff` marks with `status`: `A` for added, `D` for deleted. */
      const pathsOf = (status: 'A' | 'D') =>
        run('ostree', [`--repo=${repo}`, 'diff', given.oldCommit, mergeCommit])
          .split('\n')
          .filter((line) => line.startsWith(status))
          .map((line) => line.slice(1).trim())
          .sort();

      test('ostree accepts every object', () => {
        fsck(repo);
      });

      test('files that a commit cannot hold are left out and reported', () => {
        assert.match(stderr, /\/custom: 2, \/dev: 1, \/run: 1/);
      });

      test('a file that a layer replaces has its mode', () => {
        assert.match(ls('/usr/bin/setuid-tool'), /^-04755 0 0/);
      });

      test('a symlink keeps its target', () => {
        assert.match(ls('/usr/bin/soft'), /-> added/);
      });

      test('files get the SELinux label that the policy of the merged tree gives them', () => {
        assert.match(ls('/usr/bin/hard'), labelOf('bin_t'));
        assert.match(ls('/usr/bin/net'), labelOf('bin_t'));
        assert.match(ls('/usr/etc/selinux/config'), labelOf('etc_t'));
        assert.match(ls('/usr/share/app/new'), labelOf('default_t'));
      });

      test('a label in the layer is dropped, its other xattrs are kept', () => {
        assert.doesNotMatch(ls('/usr/bin/net'), /container_file_t/);
        assert.match(ls('/usr/bin/net'), /security\.capability/);
      });

      test('whiteouts remove files and directories of the commit', () => {
        assert.deepEqual(pathsOf('D'), [
          '/usr/bin/capable',
          '/usr/share/app/data',
          '/usr/share/app/plugins',
          '/usr/share/unowned',
        ]);
      });

      test('files of the layers are added, but for those that a later layer removes', () => {
        assert.deepEqual(
          pathsOf('A').filter((name) => !name.startsWith('/usr/etc/selinux')),
          [
            '/usr/bin/hard',
            '/usr/bin/net',
            '/usr/bin/soft',
            '/usr/share/app/new',
            '/usr/share/whole',
            '/usr/share/whole/a',
            '/var/lib',
            '/var/lib/state',
          ],
        );
      });

      test('a second pull fetches nothing', () => {
        assert.equal(pull(repo, source).layersFetched, 0);
      });

      test('unencapsulate refuses an image with derived layers', () => {
        const call = ['container', 'unencapsulate', `--repo=${repo}`, source];
        refused(call, /2 layers that are not part of the commit/);
        refused([...call, '--dry-run'], /2 layers that are not part of the commit/);
      });

      test('the signature of an ostree remote is not enough for derived layers', () => {
        const call = ['container', 'image', 'pull', repo, `ostree-remote-image:any:${imgref}`];
        refused(call, /signature of an ostree remote covers the commit only|no remote/);
      });
    });
  }

  suite('from a registry', needs('docker-registry', 'skopeo'), () => {
    let registry: Registry;
    /** The same image with other compressed bytes. */
    let recompressed: Image;

    before(async () => {
      registry = await startRegistry(join(scratch, 'registry'));
      recompressed = encapsulate(given.repo, 'os/old', join(scratch, 'fast'), [
        '--max-layers=6',
        '--compression-level=1',
      ]).image;
      push('oci', old, '--preserve-digests');
      push('docker', recompressed, '--format=v2s2');
    });
    after(() => registry.stop());

    function push(tag: string, { reference }: Image, ...args: string[]): void {
      const target = `docker://${registry.host}/os:${tag}`;
      run('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', ...args, reference, target]);
    }

    const sourceOf = (tag: string) => `ostree-unverified-registry:${registry.host}/os:${tag}`;

    test('each layer is fetched exactly once', async () => {
      const traffic: Traffic = { requests: 0, blobBytesReceived: 0, blobBytesSent: 0 };
      await unencapsulateInProcess({
        repo: initRepo(join(scratch, 'counted'), 'bare-user'),
        source: { verification: { kind: 'none' }, imgref: `registry:${registry.host}/os:oci` },
        transport: { tlsVerify: false, traffic },
        jobs: 2,
        log: silentLogger,
        signal: new AbortController().signal,
      });
      const { layers, config } = old.manifest;
      const expected = layers.reduce((sum, { size }) => sum + size, config.size);
      assert.equal(traffic.blobBytesReceived, expected);
    });

    test('layers that were compressed anew are known by their diff_id and not fetched', () => {
      const repo = initRepo(join(scratch, 'from-registry'), 'bare-user');
      pull(repo, sourceOf('oci'), NO_TLS);
      const docker = pull(repo, sourceOf('docker'), NO_TLS);
      assert.equal(docker.commit, given.oldCommit);
      assert.equal(docker.layersFetched, 0);

      const images = refs(repo).filter((ref) =>
        ref.startsWith('ostree/container/image/docker_3A_'),
      );
      assert.equal(images.length, 2);
      fsck(repo);
    });

    test('a manifest of Docker schema 2 is pulled into an empty repository', () => {
      const repo = initRepo(join(scratch, 'fresh-docker'), 'bare-user');
      const pulled = unencapsulate(repo, sourceOf('docker'), NO_TLS, '--write-ref=os');
      assert.equal(pulled.commit, given.oldCommit);
      assert.equal(pulled.layersFetched, recompressed.manifest.layers.length);
      fsck(repo);
    });

    test('layers that skopeo compressed with zstd are pulled into an empty repository', () => {
      // No other test pushes these layers: skopeo reuses a compressed blob that it knows for the
      // same content, whatever compression it is asked for.
      const { image } = encapsulate(given.repo, 'os/old', join(scratch, 'none'), [
        '--max-layers=6',
        '--format-version=1',
        '--compression=none',
      ]);
      push('zstd', image, '--dest-compress-format=zstd');
      const target = `docker://${registry.host}/os:zstd`;
      assert.match(run('skopeo', ['inspect', '--raw', NO_TLS, target]), /tar\+zstd/);

      const repo = initRepo(join(scratch, 'fresh-zstd'), 'bare-user');
      const pulled = unencapsulate(repo, sourceOf('zstd'), NO_TLS, '--write-ref=os');
      assert.equal(pulled.commit, given.oldCommit);
      assert.equal(pulled.layersFetched, image.manifest.layers.length);
      fsck(repo);
    });
  });
});
