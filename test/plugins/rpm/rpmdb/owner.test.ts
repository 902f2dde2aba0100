/** The owners of paths, as `rpm -qf` finds them, in trees that ostree has rearranged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findOwners, Tag, TagType } from '../../../../plugins/rpm/rpmdb/index.js';
import { RpmPackage } from '../../../../plugins/rpm/rpmdb/package.js';
import { FileMap } from '../../../../src/tree/file-map.js';
import type { FileEntry, TreePath } from '../../../../src/tree/tree.js';
import { namedHeader } from '../../../support/build-header.js';

const common = { mode: 0, uid: 0, gid: 0, xattrs: new Map(), size: 0, checksum: '' } as const;
/** Paths end in `/` for directories, and read `path -> target` for symlinks. */
function tree(...paths: readonly string[]): FileMap {
  return new FileMap(
    paths.map((text): FileEntry => {
      const [path, target] = text.split(' -> ') as [TreePath, string?];
      if (target !== undefined) {
        return { ...common, type: 'symlink', path, target };
      }
      if (path.endsWith('/')) {
        return {
          ...common,
          type: 'directory',
          path: (path.replace(/(?<=.)\/$/, '') || '/') as TreePath,
        };
      }
      return { ...common, type: 'file', path };
    }),
  );
}
let numbers = 0;
function pkg(
  name: string,
  paths: readonly (string | Uint8Array)[],
  states?: readonly number[],
): RpmPackage {
  const header = namedHeader(
    name,
    [Tag.OLDFILENAMES, TagType.STRING_ARRAY, paths],
    [Tag.FILESTATES, TagType.CHAR, states ?? paths.map(() => 0)],
  );
  return new RpmPackage(++numbers, header);
}
const owners = (packages: readonly RpmPackage[], files: FileMap, ...paths: readonly string[]) =>
  findOwners(packages, files, paths).map(({ owners: found, installedAs }) =>
    [
      ...found.map(({ name }) => name),
      ...(installedAs === undefined ? [] : [`as ${installedAs}`]),
    ].join(' '),
  );

const SYSTEM = ['/', '/usr/', '/usr/bin/', '/usr/bin/sh', '/bin -> usr/bin', '/etc/', '/etc/conf'];

test('owners of files, directories and symlinks are found through symlinked directories', () => {
  const packages = [
    pkg('shell', ['/bin/sh', '/etc/conf']),
    pkg('filesystem', ['/', '/usr/bin', '/bin', '/etc/conf']),
  ];
  assert.deepEqual(
    owners(
      packages,
      tree(...SYSTEM),
      '/usr/bin/sh',
      '/bin/sh',
      'bin//../bin/./sh',
      '/etc/conf',
      '/bin',
      '/usr/bin/',
      '/',
      '/usr',
    ),
    ['shell', 'shell', 'shell', 'shell filesystem', 'filesystem', 'filesystem', 'filesystem', ''],
  );
});

test('files that were not installed have no owner; files missing from the tree still have one', () => {
  const packages = [pkg('a', ['/usr/bin/sh', '/usr/gone/file', '/usr/bin/gone'], [1, 0, 3])];
  assert.deepEqual(
    owners(packages, tree(...SYSTEM), '/usr/bin/sh', '/usr/gone/file', '/bin/gone', '/usr/gone'),
    ['', 'a', 'a', ''],
  );
});

test('a moved file belongs to its package if nothing lies at the path that the package names', () => {
  const packages = [
    pkg('setup', ['/etc/passwd', '/etc/both']),
    pkg('kernel', ['/boot/vmlinuz-6.1', '/boot/.vmlinuz-6.1.hmac', '/boot/grub.cfg']),
    pkg('extra', ['/opt/x', '/var/lib/state']),
  ];
  const moved = tree(
    ...[
      '/usr/',
      '/usr/etc/',
      '/usr/etc/passwd',
      '/usr/etc/both',
      '/etc/',
      '/etc/both',
      '/usr/lib/',
      '/usr/lib/modules/',
    ],
    ...[
      '/usr/lib/modules/6.1/',
      '/usr/lib/modules/6.1/vmlinuz',
      '/usr/lib/modules/6.1/.vmlinuz.hmac',
    ],
    ...[
      '/usr/lib/ostree-boot/',
      '/usr/lib/ostree-boot/grub.cfg',
      '/usr/lib/opt/',
      '/usr/lib/opt/x',
    ],
    ...['/usr/lib/sysimage/', '/usr/lib/sysimage/state'],
  );
  assert.deepEqual(
    owners(
      packages,
      moved,
      ...[
        '/usr/etc/passwd',
        '/etc/passwd',
        '/usr/etc/both',
        '/usr/etc/nothing',
        '/usr/lib/modules/6.1/vmlinuz',
      ],
      ...[
        '/usr/lib/modules/6.1/.vmlinuz.hmac',
        '/usr/lib/modules/6.2/vmlinuz',
        '/usr/lib/ostree-boot/grub.cfg',
      ],
      ...['/usr/lib/opt/x', '/usr/lib/sysimage/state'],
    ),
    [
      ...['setup as /etc/passwd', 'setup', '', '', 'kernel as /boot/vmlinuz-6.1'],
      ...['kernel as /boot/.vmlinuz-6.1.hmac', '', 'kernel as /boot/grub.cfg'],
      ...['extra as /opt/x', 'extra as /var/lib/state'],
    ],
  );
});

test('owners of non-ASCII paths are found; paths that are not UTF-8 have none', () => {
  const packages = [pkg('odd', ['/usr/bin/café', Uint8Array.of(0x2f, 0xe9)])];
  assert.deepEqual(owners(packages, tree(...SYSTEM), '/bin/café', '/\u00e9'), ['odd', '']);
});

test('a header with a path deeper than Linux allows still gives an answer', () => {
  const deep = '/a'.repeat(30_000);
  assert.deepEqual(owners([pkg('deep', [deep])], tree(...SYSTEM), '/a'), ['']);
});
