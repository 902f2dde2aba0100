/** File capabilities as text, compared with the extended attribute of the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCapabilities } from '../../../../plugins/rpm/rpmdb/file-capabilities.js';

const xattr = (hex: string) => Buffer.from(hex, 'hex');
/** `cap_net_raw=ep`, as setcap of libcap 2.66 writes it. */
const NET_RAW = xattr('0100000200200000000000000000000000000000');

test('text and attribute are compared by the capabilities that they mean', () => {
  for (const text of [
    'cap_net_raw=ep',
    'cap_net_raw+pe',
    '= cap_net_raw+ep',
    'cap_net_raw=eip-i',
  ]) {
    assert.ok(hasCapabilities(text, NET_RAW), text);
  }
  for (const text of ['', '=', 'cap_net_raw=p', 'cap_net_admin=ep', 'cap_net_raw,cap_kill=ep']) {
    assert.ok(!hasCapabilities(text, NET_RAW), text);
  }
  const bpf = xattr('0000000200000000000000008000000000000000');
  assert.ok(hasCapabilities('cap_bpf=p', bpf));
  const namespaced = Buffer.concat([xattr('01000003'), NET_RAW.subarray(4), xattr('e8030000')]);
  assert.ok(hasCapabilities('cap_net_raw=ep', namespaced));
});

test('no capabilities are the same as an empty set', () => {
  assert.ok(hasCapabilities('', undefined));
  assert.ok(hasCapabilities('=', undefined));
  assert.ok(!hasCapabilities('cap_chown=ep', undefined));
});

test('what cannot be read equals nothing', () => {
  assert.ok(!hasCapabilities('nonsense', undefined));
  assert.ok(!hasCapabilities('cap_nonsense=ep', NET_RAW));
  assert.ok(!hasCapabilities('', xattr('0100')));
  assert.ok(!hasCapabilities('', xattr('0100000900200000000000000000000000000000')));
});
