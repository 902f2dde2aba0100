/** Plain images of root file systems: what is unpacked from them is the tree they were built of. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { ostrata, run, tryOstrata, tryRun } from '../support/run.js';
import { differences, type Scan, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { type World, world, worldNeeds } from '../support/world.js';

interface Layer {
  readonly digest: string;
  readonly diffId: string;
  readonly components: readonly string[];
  readonly reused: boolean;
}

interface Report {
  readonly update?: { readonly previousBuild: string };
  readonly layers: readonly Layer[];
}

/** Builds an image and returns what `--json` says. */
function build(args: readonly string[], env: Readonly<Record<string, string>> = {}): Report {
  const report = JSON.parse(ostrata(['build', '--json', ...args], { env }));
  return { ...report, reference: undefined, warnings: undefined };
}

const diffIds = ({ layers }: Report) => layers.map(({ diffId }) => diffId);
const newLayers = ({ layers }: Report) => layers.filter(({ reused }) => !reused);

/**
 * What umoci unpacks from the plain image of a tree: all xattrs but SELinux labels and `trusted.*`.
 * GNU tar writes a `=` in the name of an xattr as `%3D`, which umoci takes literally.
 */
function expectedOf(root: string): Scan {
  const found = scan(root);
  for (const [path, entry] of found) {
    const xattrs = entry.xattrs
      .filter((line) => !/^(security\.selinux=|trusted\.)/.test(line))
      .map((line) => line.replace('user.a=b=', 'user.a%3Db='));
    found.set(path, { ...entry, xattrs });
  }
  return found;
}

/** Groups the paths of each file that has several. */
function linkGroups(found: Scan): readonly string[] {
  const groups = new Map<bigint, string[]>();
  for (const [path, { type, inode }] of found) {
    if (type === 'file') {
      groups.set(inode, [...(groups.get(inode) ?? []), path]);
    }
  }
  return [...groups.values()].filter(({ length }) => length > 1).map((each) => each.sort().join());
}

/** Unpacks an image with umoci and scans it. */
function unpacked(image: string): { readonly root: string; readonly found: Scan } {
  const bundle = join(scratchDirectory(), 'bundle');
  run('umoci', ['unpack', '--image', image, bundle]);
  const root = join(bundle, 'rootfs');
  return { root, found: scan(root) };
}

/** Makes a tree with files of several kinds, two of which are one file. */
function makeTree(): string {
  const root = join(scratchDirectory(), 'root');
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  mkdirSync(join(root, 'usr/share/doc'), { recursive: true });
  mkdirSync(join(root, 'var'));
  mkdirSync(join(root, 'var/empty'), { mode: 0o700 });
  writeFileSync(join(root, 'usr/bin/tool'), 'tool', { mode: 0o755 });
  linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/share/link'));
  writeFileSync(join(root, 'usr/share/same-1'), 'same');
  writeFileSync(join(root, 'usr/share/same-2'), 'same');
  writeFileSync(join(root, `usr/share/doc/${'n'.repeat(200)}`), 'long name');
  symlinkSync('../usr/bin/tool', join(root, 'var/link'));
  chmodSync(root, 0o555);
  return root;
}

suite('an image of a tree that rpm installed', needs(...worldNeeds, 'umoci', 'root'), () => {
  let given: World;
  before(async () => {
    given = await world();
  });

  test('is unpacked to the same tree', () => {
    const image = join(scratchDirectory(), 'image');
    build(['--rootfs', given.oldTree, '--mtime=keep', `oci:${image}:x`]);
    const { root, found } = unpacked(`${image}:x`);
    const expected = expectedOf(given.oldTree);
    assert.ok(found.size > 100);
    assert.deepEqual(differences(found, expected), []);
    assert.deepEqual(linkGroups(found), linkGroups(expected));
    for (const path of found.keys()) {
      const seconds = (base: string) =>
        Math.floor(lstatSync(Buffer.from(`${base}/${path}`, 'latin1')).mtimeMs / 1000);
      assert.equal(seconds(root), seconds(given.oldTree), path);
    }
  });

  test('has the times that the RPM database records, for files that are as packaged', () => {
    const image = join(scratchDirectory(), 'image');
    build(['--rootfs', given.oldTree, `oci:${image}:x`]);
    const { root } = unpacked(`${image}:x`);
    const format = '[%{FILEMTIMES} %{FILEMODES:octal} %{FILENAMES}\\n]';
    const listed = ostrata(['rpmdb', 'list', '--qf', format, '--root', given.oldTree])
      .trim()
      .split('\n');
    const recorded = new Map<string, number[]>();
    for (const line of listed) {
      const [mtime, mode = '', path = ''] = line.split(' ');
      if (mode.startsWith('100') && existsSync(join(root, path))) {
        recorded.set(path, [...(recorded.get(path) ?? []), Number(mtime)]);
      }
    }
    let packagedCount = 0;
    for (const [path, mtimes] of recorded) {
      const found = Math.floor(lstatSync(join(root, path)).mtimeMs / 1000);
      assert.ok([0, ...mtimes].includes(found), `${path}: ${found}, not ${mtimes}`);
      packagedCount += found > 0 ? 1 : 0;
    }
    assert.ok(packagedCount > 10, `${packagedCount} files have the time of their package`);
  });

  test('is the same after every file was touched, and an update changes some layers', () => {
    const scratch = scratchDirectory();
    const copy = join(scratch, 'copy');
    cpSync(given.oldTree, copy, { recursive: true, verbatimSymlinks: true });
    run('cp', ['-a', '--remove-destination', `${given.oldTree}/.`, copy]);
    const destination = `oci:${join(scratch, 'image')}:x`;
    build(['--rootfs', copy, destination]);
    run('find', [copy, '-exec', 'touch', '-h', '{}', '+']);
    const again = build(['--rootfs', copy, '--previous-build=auto', destination]);
    assert.deepEqual(newLayers(again), []);

    const update = build(['--rootfs', given.newTree, '--previous-build=auto', destination]);
    assert.equal(update.update?.previousBuild, destination);
    assert.ok(newLayers(update).length > 0);
    assert.ok(newLayers(update).length < update.layers.length);
  });

  test('has the layers of an image of the commit that was made from the tree', () => {
    const scratch = scratchDirectory();
    const repo = join(scratch, 'repo');
    const tree = makeTree();
    run('ostree', ['init', '--repo', repo, '--mode=bare']);
    run('ostree', ['commit', '--repo', repo, '--branch=x', tree]);
    // The commit does not know that two paths are one file.
    const options = ['--mtime=zero', '--prune=/usr/share/link'];
    const ofTree = build(['--rootfs', tree, ...options, `oci:${scratch}/tree:x`]);
    const ofCommit = build(['--repo', repo, 'x', ...options, `oci:${scratch}/commit:x`]);
    assert.deepEqual(diffIds(ofCommit), diffIds(ofTree));
  });
});

test('an image does not depend on jobs, locale, umask or the order of directories', () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  const first = build(['--rootfs', root, '--jobs=1', `oci:${scratch}/first`]);
  const second = build(['--rootfs', root, '--jobs=5', `oci:${scratch}/second`], {
    LC_ALL: 'C',
    TZ: 'Pacific/Auckland',
  });
  assert.deepEqual(second, first);
  const copy = join(scratch, 'copy');
  run('sh', [
    '-c',
    `umask 077; mkdir "$2"; (cd "$1" && ls -rA | xargs cp -a -t "$2"); chmod 555 "$2"`,
    'sh',
    root,
    copy,
  ]);
  assert.deepEqual(build(['--rootfs', copy, `oci:${scratch}/third`]), first);
});

test('hard links stay hard links, and equal files stay separate', () => {
  const root = makeTree();
  const image = join(scratchDirectory(), 'image');
  const { layers } = build(['--rootfs', root, '--compression=none', `oci:${image}`]);
  const links = layers.flatMap(({ digest }) =>
    run('tar', ['-tvf', join(image, 'blobs/sha256', digest.slice(7))])
      .split('\n')
      .filter((line) => line.startsWith('h')),
  );
  assert.equal(links.length, 1);
  assert.match(links.join(), /usr\/share\/link link to usr\/bin\/tool/);
});

test('an archive goes to standard output if no destination is named', needs('skopeo'), () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  const archive = join(scratch, 'archive');
  run('sh', [
    '-c',
    `"$0" "$1" build -q --rootfs "$2" --tag localhost/os:1 > "$3"`,
    process.execPath,
    join(process.cwd(), 'dist/src/cli/main.js'),
    root,
    archive,
  ]);
  const inspected = JSON.parse(run('skopeo', ['inspect', `oci-archive:${archive}:localhost/os:1`]));
  assert.ok(inspected.Layers.length > 0);
});

test('--verbose names what compresses the layers', () => {
  const destination = `oci:${join(scratchDirectory(), 'image')}`;
  const { stderr } = tryOstrata(['build', '--verbose', '--rootfs', makeTree(), destination]);
  assert.match(stderr, new RegExp(`compressed by gzip, level 6, zlib ${process.versions.zlib}`));
});

test('the config is kept, and labels are changed in the order given', () => {
  const scratch = scratchDirectory();
  const config = join(scratch, 'inspect.json');
  writeFileSync(
    config,
    JSON.stringify([
      {
        Architecture: 'arm64',
        Created: '2026-01-02T03:04:05.678Z',
        Annotations: { base: 'yes' },
        Healthcheck: { Test: ['CMD', 'true'] },
        Config: {
          Env: ['A=1'],
          Shell: ['/bin/sh'],
          Labels: { keep: '1', drop: '2', 'ostree.commit': 'x', 'ostree.final-diffid': 'y' },
        },
      },
    ]),
  );
  const image = join(scratch, 'image');
  const labels = ['--label=drop-', '--label=new=a=b', '--annotation=mine=1'];
  build(['--rootfs', makeTree(), '--config', config, ...labels, `oci:${image}`]);
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(image, 'blobs/sha256', digest.slice(7)), 'utf8'));
  const index = JSON.parse(readFileSync(join(image, 'index.json'), 'utf8'));
  const manifest = blob(index.manifests[0].digest);
  const written = blob(manifest.config.digest);
  assert.equal(written.architecture, 'arm64');
  assert.equal(written.created, '2026-01-02T03:04:05Z');
  assert.deepEqual(written.config.Env, ['A=1']);
  assert.deepEqual(written.config.Shell, ['/bin/sh']);
  assert.deepEqual(written.config.Healthcheck, { Test: ['CMD', 'true'] });
  const { 'ostrata.layout': layout, ...others } = written.config.Labels;
  assert.ok(layout);
  assert.deepEqual(others, { keep: '1', new: 'a=b' });
  assert.equal(manifest.annotations.base, 'yes');
  assert.equal(manifest.annotations.mine, '1');
});

const refusals = [
  {
    title: 'a pipe',
    make: (root: string) => run('mkfifo', [join(root, 'pipe')]),
    message: /pipe is a socket, a pipe or a device; --skip-special-files/,
  },
  {
    title: 'a name that removes files in images',
    make: (root: string) => writeFileSync(join(root, 'usr/.wh.x'), ''),
    message: /\/usr\/\.wh\.x: in a container image, a name that begins with \.wh\. removes/,
  },
  {
    title: 'a name that is not UTF-8',
    make: (root: string) =>
      writeFileSync(Buffer.concat([Buffer.from(`${root}/usr/`), Buffer.of(0xff)]), ''),
    message: /is not UTF-8/,
  },
];

for (const { title, make, message } of refusals) {
  test(`${title} is refused with one error, and nothing is left`, () => {
    const root = makeTree();
    chmodSync(root, 0o755);
    make(root);
    const scratch = scratchDirectory();
    const { status, stderr } = tryOstrata([
      'build',
      '-q',
      '--rootfs',
      root,
      `oci:${scratch}/image`,
    ]);
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.deepEqual(readdirSync(scratch), []);
  });
}

test('parts of the tree are left out on request', () => {
  const root = makeTree();
  const image = join(scratchDirectory(), 'image');
  const prune = ['--prune=/usr/share/', '--prune=/v*/link'];
  const { layers } = build(['--rootfs', root, '--compression=none', ...prune, `oci:${image}`]);
  const names = layers.flatMap(({ digest }) =>
    run('tar', ['-tf', join(image, 'blobs/sha256', digest.slice(7))])
      .trim()
      .split('\n'),
  );
  assert.deepEqual([...new Set(names)].sort(), [
    '.',
    'usr',
    'usr/bin',
    'usr/bin/tool',
    'usr/share',
    'var',
    'var/empty',
  ]);
});

test('a tree that another user owns and that cannot be written is built', needs('root'), () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  chmodSync(scratch, 0o777);
  chmodSync(dirname(root), 0o755);
  utimesSync(root, 0, 0);
  const program = join(process.cwd(), 'dist/src/cli/main.js');
  const readable = tryRun('setpriv', ['--reuid=65534', '--clear-groups', 'test', '-r', program]);
  if (readable.status !== 0) {
    return; // the checkout lies where only root can read
  }
  chmodSync(join(root, 'var/empty'), 0o755);
  const args = [
    '--reuid=65534',
    '--clear-groups',
    process.execPath,
    program,
    'build',
    '--no-cache',
  ];
  run('setpriv', [...args, '--rootfs', root, `oci:${scratch}/image`], {
    env: { HOME: scratch, TMPDIR: scratch },
  });
});
