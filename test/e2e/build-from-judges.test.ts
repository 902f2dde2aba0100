/**
 * An image that `build --from` makes of another is the tree that umoci and podman unpack of the
 * other, whatever tool has made it.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { type ForgedEntry, forgePlain, writeLayout } from '../support/forge-image.js';
import { encapsulate } from '../support/read-image.js';
import { ostrata, run } from '../support/run.js';
import { differences, differentTimes, linkGroups, type Scan, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { world, worldNeeds } from '../support/world.js';

/** Unpacks an image in an OCI image layout. */
function unpacked(imgref: string): Scan {
  const bundle = join(scratchDirectory(), 'bundle');
  run('umoci', ['unpack', '--image', imgref.replace(/^oci:/, ''), bundle]);
  return scan(join(bundle, 'rootfs'));
}

/** What umoci unpacks of the image that is built of `imgref`. */
function rebuilt(imgref: string, ...options: readonly string[]): Scan {
  const target = `oci:${scratchDirectory()}/image:x`;
  ostrata(['build', `--from=${imgref}`, '--mtime=keep', ...options, target]);
  return unpacked(target);
}

/** No layer has an entry for the root: every program gives it a mode and a time of its own. */
function assertSame(actual: Scan, expected: Scan): void {
  actual.delete('');
  expected.delete('');
  assert.deepEqual(differences(actual, expected), []);
  assert.deepEqual(linkGroups(actual), linkGroups(expected));
  assert.deepEqual(differentTimes(actual, expected), []);
}

/** Writes a file with its parents, at a time in the past. */
function put(root: string, path: string, text: string, mode = 0o644): void {
  const absolute = join(root, path);
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, text, { mode });
  utimesSync(absolute, 1_000_000_000, 1_000_000_000 + text.length);
}

/** Each step makes one layer: files are added, replaced, removed, linked and changed. */
const STEPS: readonly ((root: string) => void)[] = [
  (root) => {
    chmodSync(root, 0o755);
    put(root, 'usr/bin/tool', 'tool', 0o4755);
    linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/hard'));
    linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/harder'));
    put(root, 'usr/lib/deep/er/file', 'deep');
    put(root, 'usr/lib/stays', 'stays');
    put(root, 'etc/conf.d/old', 'old');
    put(root, 'etc/kind', 'a file that becomes a directory');
    put(root, 'opt/kind/file', 'a directory that becomes a file');
    put(root, 'srv/whole/one', '1');
    symlinkSync('usr/bin', join(root, 'bin'));
    chownSync(join(root, 'etc'), 12, 34);
    chmodSync(join(root, 'etc'), 0o2750);
    run('setfattr', ['-n', 'user.note', '-v', 'file', join(root, 'usr/lib/stays')]);
    run('setfattr', ['-n', 'user.note', '-v', 'directory', join(root, 'srv')]);
    run('setcap', ['cap_net_raw+ep', join(root, 'usr/lib/deep/er/file')]);
  },
  (root) => {
    for (const path of ['usr/bin/tool', 'usr/lib/deep', 'etc/kind', 'opt/kind', 'srv/whole']) {
      rmSync(join(root, path), { recursive: true });
    }
    put(root, 'etc/kind/file', 'is a directory now');
    put(root, 'opt/kind', 'is a file now');
    put(root, 'srv/whole/two', 'the directory was removed and made again');
    put(root, 'etc/conf.d/new', 'new');
    chownSync(join(root, 'etc/conf.d/old'), 5, 6);
  },
  (root) => {
    rmSync(join(root, 'bin'));
    mkdirSync(join(root, 'bin'));
    linkSync(join(root, 'usr/bin/hard'), join(root, 'bin/hardest'));
    put(root, 'usr/lib/deep', 'a file where a directory was two layers below');
    chmodSync(join(root, 'etc'), 0o755);
    put(root, 'usr/lib/stays', 'changed');
  },
];

suite('an image that is built again', needs('root', 'umoci', 'attr', 'cap', 'skopeo'), () => {
  let scratch: string;
  let ofUmoci: string;
  before(() => {
    scratch = scratchDirectory();
    const umoci = (...args: readonly string[]) => run('umoci', args, { cwd: scratch });
    umoci('init', '--layout', 'image');
    umoci('new', '--image', 'image:x');
    umoci('unpack', '--image', 'image:x', 'bundle');
    for (const step of STEPS) {
      step(join(scratch, 'bundle/rootfs'));
      umoci('repack', '--image', 'image:x', '--refresh-bundle', 'bundle');
    }
    ofUmoci = `oci:${scratch}/image:x`;
  });

  test('and that umoci made is the tree that umoci unpacks', () => {
    assertSame(rebuilt(ofUmoci), unpacked(ofUmoci));
  });

  test('and into which umoci put a file, without the padding behind it, is that tree', () => {
    put(scratch, 'inserted', 'a file in a layer of its own');
    const umoci = (...args: readonly string[]) => run('umoci', args, { cwd: scratch });
    umoci('new', '--image', 'image:more');
    umoci('insert', '--image', 'image:more', 'inserted', '/inserted');
    const more = ofUmoci.replace(':x', ':more');
    ostrata(['verify', more]);
    assertSame(rebuilt(more), unpacked(more));
  });

  test('in the form of Docker, and with layers of zstd, is the same tree', () => {
    run('skopeo', ['copy', '--quiet', '--format=v2s2', ofUmoci, `dir:${scratch}/docker`]);
    const manifest = readFileSync(`${scratch}/docker/manifest.json`, 'utf8');
    assert.match(manifest, /docker\.distribution\.manifest\.v2/);
    assertSame(rebuilt(`dir:${scratch}/docker`), unpacked(ofUmoci));

    const zstd = `oci:${scratch}/zstd:x`;
    run('skopeo', ['copy', '--quiet', '--dest-compress-format=zstd', ofUmoci, zstd]);
    assertSame(rebuilt(zstd), unpacked(ofUmoci));
  });

  // Each driver writes layers in its own way: `overlay` from what the kernel has recorded.
  for (const driver of ['overlay', 'vfs']) {
    test(`and that buildah made (${driver}) is the tree that podman mounts`, {
      ...needs('buildah', 'podman'),
    }, () => {
      const storage = join(scratch, driver);
      const options = [
        '--root',
        storage,
        '--runroot',
        `${storage}-run`,
        '--storage-driver',
        driver,
      ];
      const buildah = (...args: readonly string[]) => run('buildah', [...options, ...args]).trim();
      const podman = (...args: readonly string[]) => run('podman', [...options, ...args]).trim();
      let image = 'scratch';
      for (const step of STEPS) {
        const container = buildah('from', image);
        step(buildah('mount', container));
        image = buildah('commit', '--quiet', '--rm', container);
      }
      const made = `oci:${storage}-image:x`;
      buildah('push', '--quiet', image, made);
      const mounted = scan(podman('image', 'mount', image));
      podman('image', 'unmount', image);
      podman('rmi', '--all', '--force');
      assertSame(rebuilt(made), mounted);
    });
  }

  test(
    'and that holds an ostree commit is the tree without the repository',
    needs(...worldNeeds),
    async () => {
      const { repo } = await world();
      const { reference } = encapsulate(repo, 'os/new', join(scratch, 'encapsulated')).image;
      const expected: Scan = new Map();
      for (const [path, found] of unpacked(reference)) {
        if (!path.startsWith('sysroot/ostree/repo')) {
          const xattrs = found.xattrs.filter((line) => !line.startsWith('trusted.'));
          expected.set(path, { ...found, xattrs });
        }
      }
      assertSame(rebuilt(reference), expected);
    },
  );
});

const file = (name: string, text = name, more: Partial<ForgedEntry> = {}): ForgedEntry => ({
  ...{ name, type: 'file', content: Buffer.from(text), mode: 0o644 },
  ...more,
});
const directory = (name: string, mode = 0o755, uid = 0): ForgedEntry => ({
  ...{ name, type: 'directory', mode, uid },
});
const symlink = (name: string, linkname: string): ForgedEntry => ({
  ...{ name, type: 'symlink', linkname, mode: 0o777 },
});
const link = (name: string, linkname: string): ForgedEntry => ({ name, type: 'link', linkname });
const whiteout = (name: string): ForgedEntry => file(name, '');

/** Layers that no tool of today writes, by what is odd about them. */
const ODD_LAYERS: Readonly<Record<string, readonly (readonly ForgedEntry[])[]>> = {
  'a whiteout before the file that replaces it': [
    [file('a', 'old'), directory('d', 0o700, 5), file('d/old')],
    [whiteout('.wh.a'), file('a'), whiteout('.wh.d'), directory('d', 0o711), file('d/new')],
  ],
  'a whiteout after the file that replaces it': [
    [file('a', 'old'), directory('d', 0o700, 5), file('d/old')],
    [file('a'), whiteout('.wh.a'), directory('d', 0o711), file('d/new'), whiteout('.wh.d')],
  ],
  'a whiteout in the first layer, of nothing, and with content': [
    [whiteout('.wh.a'), file('b')],
    [whiteout('.wh.nothing'), file('.wh.b', 'content'), file('c')],
  ],
  'whiteouts of other types': [
    [file('a'), file('b'), file('c'), directory('d'), file('d/x'), file('e')],
    [directory('.wh.a'), symlink('.wh.b', 'e'), link('.wh.c', 'e'), directory('d/.wh..wh..opq')],
  ],
  'two opaque whiteouts, before and after what is new': [
    [directory('d', 0o700), file('d/old'), directory('d/sub'), file('d/sub/old')],
    [
      directory('d'),
      whiteout('d/.wh..wh..opq'),
      file('d/new'),
      directory('d/sub'),
      file('d/sub/new'),
      whiteout('d/.wh..wh..opq'),
    ],
  ],
  'an opaque root': [
    [file('a'), directory('d'), file('d/x')],
    [whiteout('.wh..wh..opq'), file('b')],
  ],
  'links to files of lower layers': [
    [file('a', 'a', { uid: 3 }), file('b'), link('c', 'b'), directory('d'), file('d/x')],
    [link('e', 'a'), link('f', 'c'), link('g', 'd/x'), whiteout('d/.wh.x')],
    [link('h', 'e'), file('a', 'replaced after'), link('i', 'b'), file('b', 'replaced')],
  ],
  'a link to a file that its layer has just replaced': [
    [file('a', 'old')],
    [file('a', 'new'), link('b', 'a')],
  ],
  'links to symlinks and through symlinks': [
    [symlink('a', 'nowhere'), link('b', 'a'), directory('d'), file('d/x'), symlink('s', 'd')],
    [link('c', 's/x'), link('e', '/d/x'), link('./f', './d/x')],
  ],
  'files, directories and symlinks that replace each other': [
    [directory('a'), file('a/x'), file('b'), directory('c'), file('c/x'), directory('t')],
    [file('a'), directory('b', 0o711), file('b/x'), symlink('c', 't')],
  ],
  'duplicate entries': [
    [file('a', '1'), file('a', '2', { mode: 0o600 }), directory('d', 0o700), file('d/x')],
    [directory('d', 0o711), link('e', 'a'), file('a', '3'), file('d', 'file'), directory('d')],
  ],
  'names with dots, slashes, and an absolute one': [
    [directory('./', 0o750, 3), directory('/a'), file('/a/x'), file('./a/y'), file('.//a//z')],
  ],
  'entries below symlinks': [
    [directory('usr'), directory('usr/bin'), symlink('bin', 'usr/bin'), file('bin/same-layer')],
    [file('bin/next-layer'), file('usr/bin/old')],
    [whiteout('bin/.wh.old'), symlink('up', '../../usr'), symlink('abs', '/usr'), file('up/x')],
    [file('abs/y')],
  ],
  'directories without entries': [
    [directory('a', 0o700, 5), file('a/old')],
    [file('a/new'), file('b/c/new')],
  ],
  'setuid bits, and entries of AUFS': [
    [file('a', 'a', { mode: 0o6755, uid: 5, gid: 6 }), directory('t', 0o1777)],
    [whiteout('.wh..wh.aufs'), directory('.wh..wh.orph')],
  ],
};

suite(
  'layers that no tool writes are flattened as umoci unpacks them',
  needs('root', 'umoci', 'attr'),
  () => {
    for (const [title, layers] of Object.entries(ODD_LAYERS)) {
      test(title, () => {
        const { imgref } = forgePlain(layers);
        const expected = unpacked(imgref);
        const actual = rebuilt(imgref);
        assert.deepEqual(differences(actual, expected), []);
        assert.deepEqual(linkGroups(actual), linkGroups(expected));
      });
    }

    test('archives of GNU tar: long names, sparse files and xattrs', needs('tar'), () => {
      const root = makeLongAndSparse();
      for (const options of [
        ['--format=gnu'],
        ['--format=posix', '--xattrs', '--xattrs-include=*'],
      ]) {
        const tar = join(scratchDirectory(), 'layer.tar');
        run('tar', ['--create', ...options, '--sparse', `--file=${tar}`, '-C', root, '.']);
        const bytes = readFileSync(tar);
        const config = {
          architecture: 'amd64',
          os: 'linux',
          rootfs: { type: 'layers', diff_ids: [sha256Digest(bytes)] },
        };
        const { imgref } = writeLayout(canonicalJson(config), [bytes]);
        const expected = scan(root);
        if (options.length === 1) {
          expected.set('noted', { ...(expected.get('noted') ?? assert.fail()), xattrs: [] });
        }
        assertSame(rebuilt(imgref), expected);
      }
    });
  },
);

function makeLongAndSparse(): string {
  const root = join(scratchDirectory(), 'root');
  const long = `${'long-directory/'.repeat(12)}${'n'.repeat(200)}`;
  put(root, long, 'long');
  symlinkSync('t'.repeat(300), join(root, 'long-target'));
  linkSync(join(root, long), join(root, 'link-to-long'));
  put(root, 'noted', 'x');
  run('setfattr', ['-n', 'user.note', '-v', 'x', join(root, 'noted')]);
  put(root, 'sparse', 'begin');
  truncateSync(join(root, 'sparse'), 3 << 20);
  appendFileSync(join(root, 'sparse'), 'end');
  return root;
}
