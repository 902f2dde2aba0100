/** Images as others make them: other encodings, other compressions, other manifests, and layers built on top of ours. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { unencapsulate as unencapsulateInProcess } from '../../src/client/unencapsulate.js';
import { silentLogger } from '../../src/log.js';
import type { ImageReader } from '../../src/oci/image.js';
import { openImage } from '../../src/transports/image-reference.js';
import type { Traffic } from '../../src/transports/transport.js';
import { fsck, pull, refs, refused, unencapsulate } from '../support/client.js';
import { startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forge } from '../support/forge-image.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { run, tryOstrata } from '../support/run.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** As older writers have it: each set of xattrs once, objects linked to it. */
function linkXattrs(layer: readonly ForgedEntry[]): ForgedEntry[] {
  const written = new Set<string>();
  return layer.flatMap((entry): ForgedEntry[] => {
    if (!entry.name.endsWith('.file-xattrs-link')) {
      return [entry];
    }
    const content = entry.content as Uint8Array;
    const checksum = sha256(content);
    const shared = `sysroot/ostree/repo/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.file-xattrs`;
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

/** A policy that knows two types; libselinux wants to see a binary policy too, but does not load it. */
const policy: readonly ForgedEntry[] = [
  file('etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=test\n'),
  file('etc/selinux/test/policy/policy.31', 'policy'),
  file(
    'etc/selinux/test/contexts/files/file_contexts',
    '/.* system_u:object_r:default_t:s0\n/usr/bin/.* system_u:object_r:bin_t:s0\n/usr/etc/.* system_u:object_r:etc_t:s0\n',
  ),
];

suite('images of others', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let old: Image;
  let reader: ImageReader;

  before(async () => {
    given = await world();
    scratch = mkdtempSync(join(dirname(given.repo), 'foreign-'));
    old = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=6']).image;
    reader = await openImage(old.reference);
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));

  test('xattrs that are linked to', async () => {
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

  test('format version 1, layers that are not compressed', () => {
    const args = ['--max-layers=6', '--format-version=1', '--compression=none'];
    const { image } = encapsulate(given.repo, 'os/old', join(scratch, 'plain'), args);
    const repo = initRepo(join(scratch, 'plain-repo'), 'archive');
    const imgref = `ostree-unverified-image:${image.reference}`;
    assert.equal(unencapsulate(repo, imgref, '--write-ref=os').commit, given.oldCommit);
    fsck(repo);
  });

  test('derived layers: added, replaced, removed, opaque, linked, special; labels by the policy of the merged tree', async () => {
    const first: readonly ForgedEntry[] = [
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
    const second: readonly ForgedEntry[] = [
      { name: 'usr/bin/.wh.added', type: 'file' },
      directory('usr/share/whole'),
      file('usr/share/whole/a', 'a\n'),
      { name: 'usr/share/.wh.unowned', type: 'file' },
    ];
    const { imgref } = await forge(reader, () => {}, {}, [first, second]);
    for (const mode of ['bare', 'archive', 'bare-user']) {
      const repo = initRepo(join(scratch, `derived-${mode}`), mode);
      refused(
        ['container', 'unencapsulate', `--repo=${repo}`, `ostree-unverified-image:${imgref}`],
        /2 layers that are not part/,
      );
      const source = `ostree-unverified-image:${imgref}`;
      const result = tryOstrata(['container', 'image', 'pull', '--json', repo, source]);
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, /\/custom: 1, \/dev: 1, \/run: 1/);
      const { mergeCommit, commit } = JSON.parse(result.stdout.trim().split('\n').at(-1) as string);
      assert.equal(commit, given.oldCommit);
      fsck(repo);
      const ls = (path: string) =>
        run('ostree', [`--repo=${repo}`, 'ls', '-X', mergeCommit, path]).trim();
      const label = (type: string) => new RegExp(`b'system_u:object_r:${type}:s0'`);
      assert.match(ls('/usr/bin/setuid-tool'), /^-04755 0 0/);
      assert.match(ls('/usr/bin/hard'), label('bin_t'));
      assert.match(ls('/usr/bin/net'), /security\.capability/);
      assert.match(ls('/usr/bin/net'), label('bin_t'));
      assert.doesNotMatch(ls('/usr/bin/net'), /container_file_t/);
      assert.match(ls('/usr/bin/soft'), /-> added/);
      assert.match(ls('/usr/etc/selinux/config'), label('etc_t'));
      assert.match(ls('/usr/share/app/new'), label('default_t'));
      const diff = run('ostree', [`--repo=${repo}`, 'diff', given.oldCommit, mergeCommit])
        .trim()
        .split('\n')
        .sort();
      const removed = diff
        .filter((line) => line.startsWith('D'))
        .map((line) => line.slice(1).trim());
      assert.deepEqual(removed, [
        '/usr/bin/capable',
        '/usr/share/app/data',
        '/usr/share/app/plugins',
        '/usr/share/unowned',
      ]);
      const names = diff.filter((line) => line.startsWith('A')).map((line) => line.slice(1).trim());
      assert.deepEqual(
        names.filter((name) => !name.startsWith('/usr/etc/selinux')),
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
      assert.equal(pull(repo, source).layersFetched, 0);
      const remote = `ostree-remote-image:any:${imgref}`;
      refused(
        ['container', 'image', 'pull', repo, remote],
        /signature of an ostree remote covers the commit only|no remote/,
      );
    }
  });

  suite('from a registry', needs('docker-registry', 'skopeo'), () => {
    test('each layer once; then by diff_id, whoever compressed it, with a manifest of Docker', async () => {
      const registry = await startRegistry(join(scratch, 'registry'));
      try {
        const push = (tag: string, { reference }: Image, ...args: string[]) =>
          run('skopeo', [
            'copy',
            '--quiet',
            '--dest-tls-verify=false',
            ...args,
            reference,
            `docker://${registry.host}/os:${tag}`,
          ]);
        push('oci', old, '--preserve-digests');
        const traffic: Traffic = { requests: 0, blobBytesReceived: 0, blobBytesSent: 0 };
        const repo = initRepo(join(scratch, 'from-registry'), 'bare-user');
        const imgref = `registry:${registry.host}/os:oci`;
        await unencapsulateInProcess({
          repo,
          source: { verification: { kind: 'none' }, imgref },
          transport: { tlsVerify: false, traffic },
          jobs: 2,
          log: silentLogger,
          signal: new AbortController().signal,
        });
        const { layers, config } = old.manifest;
        assert.equal(
          traffic.blobBytesReceived,
          layers.reduce((sum, { size }) => sum + size, config.size),
        );

        const tls = '--tls-verify=false';
        pull(repo, `ostree-unverified-registry:${registry.host}/os:oci`, tls);
        const fast = encapsulate(given.repo, 'os/old', join(scratch, 'fast'), [
          '--max-layers=6',
          '--compression-level=1',
        ]);
        push('docker', fast.image, '--format=v2s2');
        const docker = pull(repo, `ostree-unverified-registry:${registry.host}/os:docker`, tls);
        assert.deepEqual([docker.commit, docker.layersFetched], [given.oldCommit, 0]);
        assert.equal(
          refs(repo).filter((ref) => ref.startsWith('ostree/container/image/docker_3A_')).length,
          2,
        );
        fsck(repo);

        // To a client that has nothing: what skopeo keeps of the image is enough. The layers are those of no other test:
        // it takes a compressed blob that it knows for one, whatever it is told to compress with.
        const plain = encapsulate(given.repo, 'os/old', join(scratch, 'none'), [
          '--max-layers=6',
          '--format-version=1',
          '--compression=none',
        ]);
        push('zstd', plain.image, '--dest-compress-format=zstd');
        const manifest = run('skopeo', [
          'inspect',
          '--raw',
          tls,
          `docker://${registry.host}/os:zstd`,
        ]);
        assert.match(manifest, /tar\+zstd/);
        for (const [tag, { manifest }] of [
          ['docker', fast.image],
          ['zstd', plain.image],
        ] as const) {
          const fresh = initRepo(join(scratch, `fresh-${tag}`), 'bare-user');
          const source = `ostree-unverified-registry:${registry.host}/os:${tag}`;
          const { commit, layersFetched } = unencapsulate(fresh, source, tls, '--write-ref=os');
          assert.deepEqual([commit, layersFetched], [given.oldCommit, manifest.layers.length]);
          fsck(fresh);
        }
      } finally {
        await registry.stop();
      }
    });
  });
});
