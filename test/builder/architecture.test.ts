import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitArchitecture } from '../../src/builder/architecture.js';
import { goArchitecture } from '../../src/oci/platform.js';
import type { Commit } from '../../src/ostree/objects/commit.js';
import type { PackageFacts } from '../../src/plugin.js';

const commit = (architecture?: string) =>
  ({
    metadata: new Map(
      architecture === undefined
        ? []
        : [['ostree.architecture', { type: 's', value: architecture }]],
    ),
  }) as unknown as Commit;
const packages = (...nevras: string[]) =>
  nevras.map((nevra): PackageFacts => ({ name: '', nevra, size: 0, changelogTimes: [] }));

test('machine names as Go spells them', () => {
  const names = {
    x86_64: 'amd64',
    aarch64: 'arm64',
    i686: '386',
    armv7hl: 'arm',
    ppc64le: 'ppc64le',
    s390x: 's390x',
    riscv64: 'riscv64',
  };
  for (const [machine, go] of Object.entries(names)) {
    assert.equal(goArchitecture(machine), go);
  }
  assert.equal(goArchitecture('constructor'), 'constructor');
  for (const none of ['', 'x', 'x86-64', 'a/b', 'x'.repeat(33)]) {
    assert.throws(() => goArchitecture(none), { code: 'USAGE' });
  }
});

test('the commit says what it is for; else most of its packages do', () => {
  const some = packages(
    'a-1-1.x86_64',
    'b-1-1.noarch',
    'c-1-1.noarch',
    'd-1-1.i686',
    'e-1-1.x86_64',
  );
  assert.equal(commitArchitecture(commit('aarch64'), some), 'arm64');
  assert.equal(commitArchitecture(commit(), some), 'amd64');
  assert.equal(
    commitArchitecture(commit(), packages('a-1-1.s390x', 'b-1-1.ppc64le')),
    'ppc64le',
    'a draw: the first by name',
  );
  assert.throws(
    () => commitArchitecture(commit('a b'), []),
    /commit metadata ostree\.architecture: "a b"/,
  );
});

test('packages without an architecture say nothing', () => {
  const here = goArchitecture(process.arch);
  assert.equal(commitArchitecture(commit(), packages('a-1-1', 'b-2.3-4')), here);
  assert.equal(commitArchitecture(commit(), []), here);
});
