/** Versions are ordered as dpkg orders them; each line was checked by `dpkg --compare-versions`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareDebianVersions } from '../../../plugins/dpkg/index.js';

const ASCENDING = [
  '1.0~~',
  '1.0~rc1-1',
  '1.0~rc2-1',
  '1.0',
  '1.0-1',
  '1.0-1+b1',
  '1.0-1+deb12u1',
  '1.0-1+deb12u2',
  '1.0-2',
  '1.0a-1',
  '1.0+dfsg-1',
  '1.0.1-1',
  '1.2-1',
  '1.10-1',
  '1.18446744073709551617-1',
  '1:0.1-1',
];

test('Debian versions have the order of dpkg', () => {
  const shuffled = ASCENDING.toSorted((a, b) => a.length - b.length);
  assert.deepEqual(shuffled.sort(compareDebianVersions), ASCENDING);
});

test('leading zeros and an absent revision do not matter', () => {
  assert.equal(compareDebianVersions('1.01-1', '1.1-1'), 0);
  assert.equal(compareDebianVersions('0:1.0', '1.0'), 0);
  assert.equal(compareDebianVersions('1.0-0', '1.0'), 0);
});
