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

test('files, directories and symlinks, whatever symlinked directories lead there', () => {
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

test('what is not installed owns nothing; what is gone from the tree is still owned', () => {
  const packages = [pkg('a', ['/usr/bin/sh', '/usr/gone/file', '/usr/bin/gone'], [1, 0, 3])];
  assert.deepEqual(
    owners(packages, tree(...SYSTEM), '/usr/bin/sh', '/usr/gone/file', '/bin/gone', '/usr/gone'),
    ['', 'a', 'a', ''],
  );
});

test('what ostree moved belongs to who installed it, if it is there and its origin is not', () => {
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

test('paths beyond ASCII, and paths that are no text', () => {
  const packages = [pkg('odd', ['/usr/bin/café', Uint8Array.of(0x2f, 0xe9)])];
  assert.deepEqual(owners(packages, tree(...SYSTEM), '/bin/café', '/\u00e9'), ['odd', '']);
});

test('a path of a header that is deeper than any on Linux ends in an answer', () => {
  const deep = '/a'.repeat(30_000);
  assert.deepEqual(owners([pkg('deep', [deep])], tree(...SYSTEM), '/a'), ['']);
});
