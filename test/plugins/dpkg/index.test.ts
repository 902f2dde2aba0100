/** What the content source `dpkg` says of small trees of Debian packages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { dpkgSource } from '../../../plugins/dpkg/index.js';
import {
  assertSurvivesDamage,
  type LoadedSource,
  loadSource,
  type Specs,
} from '../../support/load-source.js';

const MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const STATUS = `Package: dash
Status: install ok installed
Architecture: amd64
Installed-Size: 10
Version: 0.5.12-2
Conffiles:
 /etc/dash ${MD5}
 /etc/gone ${MD5} obsolete
 /etc/new newconffile
Description: a shell
 that is small
 .

Package: mawk
Status: install ok installed
Architecture: amd64
Source: mawk-source (1.3)
Version: 1.3.4-3

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9

Package: gone
Status: deinstall ok not-installed
Architecture: amd64
`;
const CHANGELOG = `dash (0.5.12-2) unstable; urgency=medium

  * Mend it.

 -- A Person <a@example.org>  Thu, 05 Jan 2023 15:30:30 +0100

dash (0.5.12-1) unstable; urgency=medium

 -- A Person <a@example.org>  Sun, 01 Jan 2023 00:00:00 +0000
`;

const debian: Specs = {
  '/bin': { target: 'usr/bin' },
  '/etc/dash': '',
  '/etc/alternatives/awk': { target: '/usr/bin/mawk' },
  '/usr/bin/awk': { target: '/etc/alternatives/awk' },
  '/usr/bin/dash': '',
  '/usr/bin/mawk': '',
  '/usr/bin/local': '',
  '/usr/bin/sh': '',
  '/usr/bin/sh.distrib': '',
  '/usr/lib/libc.so.6': '',
  '/usr/share/doc/dash/changelog.Debian.gz': gzipSync(CHANGELOG),
  '/var/lib/dpkg/status': STATUS,
  '/var/lib/dpkg/status-old': STATUS,
  '/var/lib/dpkg/diversions': '/bin/sh\n/bin/sh.distrib\ndash\n',
  '/var/lib/dpkg/info/dash.list': '/.\n/bin\n/bin/dash\n/bin/sh\n/usr/share/doc/dash\n',
  '/var/lib/dpkg/info/dash.md5sums': `${MD5}  bin/dash\n`,
  '/var/lib/dpkg/info/dash.postinst': '',
  '/var/lib/dpkg/info/libc6:amd64.list': '/usr/lib/libc.so.6\n',
  '/var/lib/dpkg/info/mawk.list': '/usr/bin/mawk\n/bin/sh\n',
};

function load(specs: Specs, skipDamagedPackages = false): Promise<LoadedSource> {
  return loadSource(dpkgSource({ skipDamagedPackages }), specs);
}

test('files belong to the packages that list them, through a merged /usr and diversions', async () => {
  const { owner, warnings } = await load(debian);
  assert.equal(owner('/usr/bin/dash'), 'dash.amd64');
  assert.equal(owner('/usr/bin/sh'), 'dash.amd64');
  assert.equal(owner('/usr/bin/sh.distrib'), 'mawk.amd64');
  assert.equal(owner('/usr/lib/libc.so.6'), 'libc6.amd64');
  assert.equal(owner('/usr/bin/local'), undefined);
  assert.deepEqual(warnings, []);
});

test('alternatives belong to the package that they lead to', async () => {
  const { owner } = await load(debian);
  assert.equal(owner('/etc/alternatives/awk'), 'mawk.amd64');
  assert.equal(owner('/usr/bin/awk'), 'mawk.amd64');
});

test('what the database holds of one package belongs to it, the rest changes in every build', async () => {
  const { owner, claims } = await load(debian);
  assert.equal(owner('/var/lib/dpkg/info/dash.list'), 'dash.amd64');
  assert.equal(owner('/var/lib/dpkg/info/dash.postinst'), 'dash.amd64');
  assert.equal(owner('/var/lib/dpkg/status'), 'dpkgdb');
  assert.equal(owner('/var/lib/dpkg/status-old'), 'dpkgdb');
  assert.equal(claims.components.get('dpkgdb')?.updateInterval, 0);
});

test('a database behind a symlink, as image-based systems have it, changes in every build', async () => {
  const { owner } = await load({
    '/usr/lib/sysimage/dpkg/status': STATUS,
    '/usr/lib/sysimage/dpkg/info/dash.list': '/usr/bin/dash\n',
    '/usr/bin/dash': '',
    '/var/lib/dpkg': { target: '../../usr/lib/sysimage/dpkg' },
  });
  assert.equal(owner('/usr/bin/dash'), 'dash.amd64');
  assert.equal(owner('/usr/lib/sysimage/dpkg/info/dash.list'), 'dash.amd64');
  assert.equal(owner('/usr/lib/sysimage/dpkg/status'), 'dpkgdb');
});

test('facts are the source package, size, version and changelog', async () => {
  const { claims } = await load(debian);
  assert.deepEqual(
    [...claims.components.keys()],
    ['dpkgdb', 'dash.amd64', 'libc6.amd64', 'mawk.amd64'],
  );
  assert.equal(claims.components.get('mawk.amd64')?.source, 'mawk-source');
  assert.deepEqual(claims.components.get('dash.amd64'), {
    name: 'dash',
    source: 'dash',
    packages: [
      {
        name: 'dash',
        nevra: 'dash-0.5.12-2.amd64',
        size: 10_240,
        buildTime: 1_672_929_030,
        changelogTimes: [1_672_929_030, 1_672_531_200],
      },
    ],
  });
  assert.deepEqual(claims.shipped?.('/usr/bin/dash'), { md5: MD5 });
  assert.deepEqual(claims.shipped?.('/etc/dash'), { md5: MD5 });
  assert.equal(claims.shipped?.('/usr/bin/mawk'), undefined);
  const missing = [...(claims.missing?.() ?? [])];
  assert.deepEqual(missing, [{ component: 'dash.amd64', file: { md5: MD5 } }]);
});

test('a distroless image lists its packages in status.d', async () => {
  const { owner } = await load({
    '/usr/lib/tzdata': '',
    '/var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nArchitecture: all\nVersion: 1\n',
    '/var/lib/dpkg/status.d/tzdata.md5sums': `${MD5}  usr/lib/tzdata\n`,
  });
  assert.equal(owner('/usr/lib/tzdata'), 'tzdata.all');
  assert.equal(owner('/var/lib/dpkg/status.d/tzdata'), 'tzdata.all');
  assert.equal(owner('/var/lib/dpkg/status.d/tzdata.md5sums'), 'tzdata.all');
});

test('a damaged package is an error that says where, or is left out on request', async () => {
  const damaged = { ...debian, '/var/lib/dpkg/status': STATUS.replace('Package: mawk', 'mawk') };
  await assert.rejects(load(damaged), {
    message:
      '/var/lib/dpkg/status: line 14: expected NAME: VALUE; ' +
      '--skip-damaged-packages plans without damaged packages',
  });
  const { owner, warnings } = await load(damaged, true);
  assert.equal(owner('/usr/bin/mawk'), undefined);
  assert.equal(owner('/usr/bin/dash'), 'dash.amd64');
  assert.equal(warnings.length, 1);
});

test('lists of files that were removed are one warning', async () => {
  const { '/var/lib/dpkg/info/mawk.list': _, ...rest } = debian;
  const { warnings } = await load(rest);
  assert.deepEqual(warnings, [
    '/var/lib/dpkg/info lacks the lists of files of some packages (1, such as mawk): ' +
      'their files are planned as if no package owned them',
  ]);
});

test('a changelog that unpacks to too much is left out with a warning', async () => {
  const bomb = gzipSync(Buffer.alloc((1 << 25) + 1));
  const path = '/usr/share/doc/dash/changelog.Debian.gz';
  const { claims, warnings } = await load({ ...debian, [path]: bomb });
  assert.deepEqual(claims.components.get('dash.amd64')?.packages[0]?.changelogTimes, []);
  assert.match(warnings.join(), /changelog\.Debian\.gz is damaged or larger than/);
});

test('damaged databases give claims or an error with a code', async () => {
  await assertSurvivesDamage(dpkgSource(), debian, [
    '/var/lib/dpkg/status',
    '/var/lib/dpkg/diversions',
    '/var/lib/dpkg/info/dash.list',
    '/var/lib/dpkg/info/dash.md5sums',
    '/usr/share/doc/dash/changelog.Debian.gz',
  ]);
});
