/**
 * Who owns what by the RPM database, where ostree keeps files elsewhere than packages install them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rpm } from '../../../plugins/rpm/index.js';
import { Tag, TagType } from '../../../plugins/rpm/rpmdb/index.js';
import { silentLogger } from '../../../src/log.js';
import type { FileEntry, TreePath } from '../../../src/plugin.js';
import {
  buildDatabase,
  databaseOfHeaders,
  type PackageSpec,
} from '../../support/build-database.js';
import { namedHeader } from '../../support/build-header.js';
import { buildTree, type EntrySpec } from '../../support/build-tree.js';
import { collectGarbage } from '../../support/collect-garbage.js';

const DATABASE = '/usr/lib/sysimage/rpm/rpmdb.sqlite';

async function claimsOf(
  packages: readonly PackageSpec[],
  specs: Readonly<Record<TreePath, EntrySpec>>,
) {
  const tree = buildTree({ [DATABASE]: buildDatabase(packages), ...specs });
  assert.ok(rpm.detect(tree.files));
  const claims = await rpm.load({ tree, log: silentLogger, signal: new AbortController().signal });
  return { ...claims, of: (path: TreePath) => claims.strong(tree.files.get(path) as FileEntry) };
}

const one = (...files: NonNullable<PackageSpec['files']>): PackageSpec[] => [
  { name: 'p', arch: 'x86_64', files },
];

test('files that are installed through symlinked directories are found', async () => {
  const { of } = await claimsOf(one('/bin/sh', '/lib64/libc.so.6', '/usr/tmp', '/home'), {
    '/bin': { target: 'usr/bin' },
    '/lib64': { target: '/usr/lib64' },
    '/usr/bin/sh': 'sh',
    '/usr/lib64': { target: 'lib' },
    '/usr/lib/libc.so.6': 'libc',
    '/usr/tmp': { target: '../var/tmp' },
    '/home': { target: 'var/home' },
  });
  for (const path of ['/usr/bin/sh', '/usr/lib/libc.so.6', '/usr/tmp', '/home'] as const) {
    assert.deepEqual(of(path), ['p.x86_64'], path);
  }
  for (const path of ['/bin', '/lib64'] as const) {
    assert.deepEqual(of(path), [], path);
  }
});

test('files that ostree moves from /etc, /opt and /boot are found', async () => {
  const { of } = await claimsOf(
    one('/etc/passwd', '/etc/a/n\nl', '/opt/x/y', '/boot/grub2/grub.cfg'),
    {
      '/usr/etc/passwd': '',
      '/usr/etc/a/n\nl': '',
      '/usr/lib/opt/x/y': '',
      '/usr/lib/ostree-boot/grub2/grub.cfg': '',
      '/usr/etc/other': '',
    },
  );
  for (const path of [
    '/usr/etc/passwd',
    '/usr/etc/a/n\nl',
    '/usr/lib/opt/x/y',
    '/usr/lib/ostree-boot/grub2/grub.cfg',
  ] as const) {
    assert.deepEqual(of(path), ['p.x86_64'], JSON.stringify(path));
  }
  assert.deepEqual(of('/usr/etc/other'), []);
});

test('a file that is still at its installed path wins over the path it may have been moved to', async () => {
  const { of } = await claimsOf(one('/etc/x'), { '/etc/x': '', '/usr/etc/x': '' });
  assert.deepEqual(of('/etc/x'), ['p.x86_64']);
  assert.deepEqual(of('/usr/etc/x'), []);
});

test('several kernels are one component with several packages, including their moved files', async () => {
  const kernel = (version: string): PackageSpec => ({
    name: 'kernel-core',
    version,
    arch: 'x86_64',
    source: 'kernel',
    files: ['vmlinuz', 'config', 'System.map']
      .map((name) => `/boot/${name}-${version}`)
      .concat(`/boot/.vmlinuz-${version}.hmac`, `/lib/modules/${version}/modules.builtin`),
  });
  const modules = (version: string) =>
    Object.fromEntries(
      ['vmlinuz', 'config', 'System.map', '.vmlinuz.hmac', 'modules.builtin', 'initramfs.img'].map(
        (name) => [`/usr/lib/modules/${version}/${name}`, version],
      ),
    );
  const { of, components } = await claimsOf([kernel('6.2'), kernel('6.1')], {
    ...modules('6.1'),
    ...modules('6.2'),
    '/lib': { target: 'usr/lib' },
  });
  const facts = components.get('kernel-core.x86_64');
  assert.deepEqual([facts?.name, facts?.source], ['kernel-core', 'kernel']);
  assert.deepEqual(
    facts?.packages.map(({ nevra }) => nevra),
    ['kernel-core-6.1-1.x86_64', 'kernel-core-6.2-1.x86_64'],
  );
  for (const version of ['6.1', '6.2']) {
    for (const path of Object.keys(modules(version)) as TreePath[]) {
      assert.deepEqual(
        of(path),
        path.endsWith('initramfs.img') ? [] : ['kernel-core.x86_64'],
        path,
      );
    }
  }
});

test('two architectures of one name are two components that may own one file', async () => {
  const glibc = (arch: string, lib: string): PackageSpec => ({
    name: 'glibc',
    arch,
    source: 'glibc',
    files: [lib, '/usr/share/x'],
  });
  const { of, components } = await claimsOf(
    [glibc('x86_64', '/usr/lib64/libc'), glibc('i686', '/usr/lib/libc')],
    {
      '/usr/lib64/libc': '64',
      '/usr/lib/libc': '32',
      '/usr/share/x': '',
    },
  );
  assert.deepEqual([...components.keys()], ['rpmdb', 'glibc.i686', 'glibc.x86_64']);
  assert.deepEqual(of('/usr/lib64/libc'), ['glibc.x86_64']);
  assert.deepEqual(of('/usr/lib/libc'), ['glibc.i686']);
  assert.deepEqual(of('/usr/share/x').toSorted(), ['glibc.i686', 'glibc.x86_64']);
});

test('ghosts, directories and files that were not installed have no owner', async () => {
  const [replaced, notInstalled, wrongColor] = [1, 2, 4];
  const { of } = await claimsOf(
    one(
      { path: '/usr/ghost', ghost: true },
      { path: '/usr/replaced', state: replaced as number },
      { path: '/usr/excluded', state: notInstalled as number },
      { path: '/usr/color', state: wrongColor as number },
      '/usr/dir',
    ),
    {
      '/usr/ghost': '',
      '/usr/replaced': '',
      '/usr/excluded': '',
      '/usr/color': '',
      '/usr/dir': { directory: true },
    },
  );
  for (const path of [
    '/usr/ghost',
    '/usr/replaced',
    '/usr/excluded',
    '/usr/color',
    '/usr/dir',
  ] as const) {
    assert.deepEqual(of(path), [], path);
  }
});

test('packages without files, changelog or architecture have facts; trusted keys are left out', async () => {
  const { components } = await claimsOf(
    [
      {
        name: 'full',
        version: '2',
        arch: 'noarch',
        source: 'src',
        buildTime: 99,
        changelogTimes: [90, 80],
      },
      { name: 'bare' },
      { name: 'gpg-pubkey', files: ['/usr/x'] },
    ],
    {},
  );
  assert.deepEqual(Object.fromEntries([...components].filter(([id]) => id !== 'rpmdb')), {
    'bare.noarch': {
      name: 'bare',
      source: 'bare',
      packages: [
        { name: 'bare', nevra: 'bare-1-1', size: 0, buildTime: undefined, changelogTimes: [] },
      ],
    },
    'full.noarch': {
      name: 'full',
      source: 'src',
      packages: [
        {
          name: 'full',
          nevra: 'full-2-1.noarch',
          size: 0,
          buildTime: 99,
          changelogTimes: [90, 80],
        },
      ],
    },
  });
});

test('the database and the files beside it are a component that changes in every build', async () => {
  const { of, components } = await claimsOf([{ name: 'p', files: [DATABASE] }], {
    '/usr/lib/sysimage/rpm/.rpm.lock': '',
    '/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite': '',
    '/usr/lib/sysimage/other': '',
  });
  assert.equal(components.get('rpmdb')?.updateInterval, 0);
  for (const path of [
    DATABASE,
    '/usr/lib/sysimage/rpm/.rpm.lock',
    '/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite',
  ] as const) {
    assert.deepEqual(of(path), ['rpmdb'], path);
  }
  assert.deepEqual(of('/usr/lib/sysimage/other'), []);
});

test('a tree without a database is not detected; a damaged database is refused by its name', async () => {
  assert.equal(rpm.detect(buildTree({ '/usr/bin/sh': '' }).files), false);
  const tree = buildTree({ [DATABASE]: 'SQLite format 3\0 and no more' });
  const loading = rpm.load({ tree, log: silentLogger, signal: new AbortController().signal });
  await assert.rejects(loading, { code: 'CORRUPT', message: new RegExp(DATABASE) });
});

test('claims keep neither the database nor the headers of packages in memory', async () => {
  const description = [Tag.DESCRIPTION, TagType.STRING, ['x'.repeat(8 << 20)]] as const;
  const tree = buildTree({ [DATABASE]: databaseOfHeaders([namedHeader('large', description)]) });
  await collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  const claims = await rpm.load({ tree, log: silentLogger, signal: new AbortController().signal });
  await collectGarbage();
  const kept = process.memoryUsage().arrayBuffers - before;
  assert(claims.components.has('large.noarch'));
  assert(kept < 1 << 20, `${kept} bytes`);
});

test('a signal ends the reading of packages', async () => {
  const packages = Array.from({ length: 200 }, (_, i) => ({ name: `p${i}` }));
  const tree = buildTree({ [DATABASE]: buildDatabase(packages) });
  const controller = new AbortController();
  const { signal } = controller;
  const load = () => rpm.load({ tree, log: silentLogger, signal });
  await load();
  setImmediate(() => controller.abort());
  await assert.rejects(load(), { name: 'AbortError' });
});
