/** Platforms: names of machines become those of image configs, and an index has one to choose. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import { choosePlatform, goArchitecture } from '../../src/oci/platform.js';

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

test('the exact variant of a platform is chosen, and arm64 has the variant v8', () => {
  const digestOf = (platforms: readonly string[], wanted: string) => {
    const manifests = platforms.map((name, i) => ({
      mediaType: OCI_MANIFEST,
      digest: `sha256:${i}`,
      size: 1,
      platform: platformOf(name),
    }));
    return choosePlatform({ schemaVersion: 2, manifests }, platformOf(wanted)).digest;
  };
  assert.equal(digestOf(['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'), 'sha256:1');
  assert.equal(digestOf(['linux/amd64/v3', 'linux/amd64/v2'], 'linux/amd64'), 'sha256:0');
  assert.equal(digestOf(['linux/amd64', 'linux/arm64'], 'linux/arm64/v8'), 'sha256:1');
  assert.equal(digestOf(['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'), 'sha256:1');
  assert.throws(() => digestOf(['linux/amd64'], 'linux/amd64/v3'), { code: 'NOT_FOUND' });
});

function platformOf(name: string) {
  const [os = '', architecture = '', variant] = name.split('/');
  return { os, architecture, variant };
}
