/** Machine names of RPM and the kernel become the names that image configs have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goArchitecture } from '../../src/oci/platform.js';

test('goArchitecture translates the machine names of RPM and the kernel', () => {
  const names = {
    x86_64: 'amd64',
    aarch64: 'arm64',
    i686: '386',
    armv7hl: 'arm',
    ppc64le: 'ppc64le',
    s390x: 's390x',
    riscv64: 'riscv64',
  };
  for (const [machine, goName] of Object.entries(names)) {
    assert.equal(goArchitecture(machine), goName);
  }
  assert.equal(goArchitecture('constructor'), 'constructor');
});

test('goArchitecture refuses names that no machine can have', () => {
  for (const name of ['', 'x', 'x86-64', 'a/b', 'x'.repeat(33)]) {
    assert.throws(() => goArchitecture(name), { code: 'USAGE' });
  }
});
