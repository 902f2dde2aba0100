/** What the content source `apk` says of small trees of Alpine packages. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { apkSource } from '../../../plugins/apk/index.js';
import {
  assertSurvivesDamage,
  type LoadedSource,
  loadSource,
  type Specs,
} from '../../support/load-source.js';

const DATABASE = '/lib/apk/db/installed';
const sha1 = createHash('sha1').update('box').digest();
const INSTALLED = `C:Q1abcdefghijklmnopqrstuvwxyz0=
P:busybox
V:1.36.1-r5
A:x86_64
S:500000
I:900000
o:busybox-source
t:1700000000
F:bin
R:busybox
a:0:0:755
Z:Q1${sha1.toString('base64')}
R:sh
F:etc
M:0:0:755
R:securetty

P:empty
V:1
A:noarch
`;
const alpine: Specs = {
  '/bin/busybox': 'box',
  '/bin/sh': { target: '/bin/busybox' },
  '/bin/own': '',
  '/usr/etc/securetty': '',
  [DATABASE]: INSTALLED,
  '/lib/apk/db/scripts.tar': '',
};

function load(specs: Specs, skipDamagedPackages = false): Promise<LoadedSource> {
  return loadSource(apkSource({ skipDamagedPackages }), specs);
}

test('files belong to the packages that list them, the database to a component of every build', async () => {
  const { owner } = await load(alpine);
  assert.equal(owner('/bin/busybox'), 'busybox.x86_64');
  assert.equal(owner('/bin/sh'), 'busybox.x86_64');
  assert.equal(owner('/usr/etc/securetty'), 'busybox.x86_64');
  assert.equal(owner('/bin/own'), undefined);
  assert.equal(owner(DATABASE), 'apkdb');
  assert.equal(owner('/lib/apk/db/scripts.tar'), 'apkdb');
});

test('facts are the origin, version, size and build time; checksums are those of content', async () => {
  const { claims } = await load(alpine);
  assert.deepEqual([...claims.components.keys()], ['apkdb', 'busybox.x86_64', 'empty.noarch']);
  assert.deepEqual(claims.components.get('busybox.x86_64'), {
    name: 'busybox',
    source: 'busybox-source',
    packages: [
      {
        name: 'busybox',
        nevra: 'busybox-1.36.1-r5.x86_64',
        size: 900_000,
        buildTime: 1_700_000_000,
        changelogTimes: [],
      },
    ],
  });
  assert.deepEqual(claims.shipped?.('/bin/busybox'), { sha1: sha1.toString('hex') });
  assert.equal(claims.shipped?.('/bin/own'), undefined);
});

test('a damaged package is an error that says where, or is left out on request', async () => {
  const damaged = { ...alpine, [DATABASE]: INSTALLED.replace('P:empty', 'empty') };
  await assert.rejects(load(damaged), {
    message:
      '/lib/apk/db/installed: line 18: the package has a line that is not LETTER:VALUE; ' +
      '--skip-damaged-packages plans without damaged packages',
  });
  const { claims, warnings } = await load(damaged, true);
  assert.deepEqual([...claims.components.keys()], ['apkdb', 'busybox.x86_64']);
  assert.equal(warnings.length, 1);
});

test('damaged databases give claims or an error with a code', async () => {
  await assertSurvivesDamage(apkSource(), alpine, [DATABASE]);
});
