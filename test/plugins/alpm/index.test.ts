/** What the content source `alpm` says of small trees of pacman's packages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { alpmSource } from '../../../plugins/alpm/index.js';
import {
  assertSurvivesDamage,
  type LoadedSource,
  loadSource,
  type Specs,
} from '../../support/load-source.js';

const BASH = '/var/lib/pacman/local/bash-5.2-1';
const DESC = `%NAME%
bash

%VERSION%
5.2-1

%BASE%
bash-source

%ARCH%
x86_64

%BUILDDATE%
1700000000

%SIZE%
9000
`;
const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const MTREE = `#mtree
/set type=file uid=0 gid=0 mode=644
./.PKGINFO time=1700000000.0 size=396 sha256digest=${SHA256}
./usr time=1700000000.0 mode=755 type=dir
./usr/bin/bash time=1690000000.5 mode=755 size=4 sha256digest=${SHA256}
./usr/bin/sh time=1690000001.0 mode=777 type=link link=bash
./usr/share/a\\040b time=1690000002.0 size=1 sha256digest=${SHA256}
./usr/share/timeless size=1 sha256digest=${SHA256}
`;
const arch: Specs = {
  '/usr/bin/bash': 'bash',
  '/usr/bin/sh': { target: 'bash' },
  '/usr/share/a b': 'x',
  '/usr/share/timeless': 'x',
  '/usr/bin/own': '',
  '/usr/etc/bash.bashrc': '',
  '/var/lib/pacman/local/ALPM_DB_VERSION': '9\n',
  [`${BASH}/desc`]: DESC,
  [`${BASH}/files`]: '%FILES%\netc/\netc/bash.bashrc\nusr/bin/bash\nusr/bin/sh\n\n%BACKUP%\nx\ty\n',
  [`${BASH}/mtree`]: gzipSync(MTREE),
};

function load(specs: Specs, skipDamagedPackages = false): Promise<LoadedSource> {
  return loadSource(alpmSource({ skipDamagedPackages }), specs);
}

test('files belong to the packages that list them, descriptions to the database', async () => {
  const { owner } = await load(arch);
  assert.equal(owner('/usr/bin/bash'), 'bash.x86_64');
  assert.equal(owner('/usr/etc/bash.bashrc'), 'bash.x86_64');
  assert.equal(owner('/usr/bin/own'), undefined);
  assert.equal(owner(`${BASH}/mtree`), 'bash.x86_64');
  assert.equal(owner(`${BASH}/desc`), 'alpmdb');
  assert.equal(owner('/var/lib/pacman/local/ALPM_DB_VERSION'), 'alpmdb');
});

test('facts are the base, version, size and build time; mtree has times and digests', async () => {
  const { claims } = await load(arch);
  assert.deepEqual(claims.components.get('bash.x86_64'), {
    name: 'bash',
    source: 'bash-source',
    packages: [
      {
        name: 'bash',
        nevra: 'bash-5.2-1.x86_64',
        size: 9000,
        buildTime: 1_700_000_000,
        changelogTimes: [],
      },
    ],
  });
  const file = { mtime: 1_690_000_000, size: 4, sha256: SHA256, target: undefined };
  assert.deepEqual(claims.shipped?.('/usr/bin/bash'), file);
  assert.equal(claims.shipped?.('/usr/bin/sh')?.target, 'bash');
  assert.equal(claims.shipped?.('/usr/share/a b')?.mtime, 1_690_000_002);
  const timeless = { mtime: undefined, size: 1, sha256: SHA256, target: undefined };
  assert.deepEqual(claims.shipped?.('/usr/share/timeless'), timeless);
});

test('a damaged package is an error that says where, or is left out on request', async () => {
  const damaged = { ...arch, [`${BASH}/mtree`]: 'not gzip' };
  await assert.rejects(load(damaged), {
    message:
      `${BASH}/mtree: expected gzip of at most 134217728 bytes; ` +
      '--skip-damaged-packages plans without damaged packages',
  });
  const { owner, warnings } = await load(damaged, true);
  assert.equal(owner('/usr/bin/bash'), undefined);
  assert.equal(warnings.length, 1);
});

test('damaged databases give claims or an error with a code', async () => {
  await assertSurvivesDamage(alpmSource(), arch, [
    `${BASH}/desc`,
    `${BASH}/files`,
    `${BASH}/mtree`,
  ]);
});
