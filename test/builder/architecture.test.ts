/** The architecture of an image: what the commit declares, else what its packages are built for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitArchitecture } from '../../src/builder/architecture.js';
import { hostPlatform } from '../../src/oci/platform.js';
import type { Commit } from '../../src/ostree/objects/commit.js';
import type { PackageFacts } from '../../src/plugin.js';

/** A commit whose metadata declares `architecture`, if it is given. */
function commit(architecture?: string): Commit {
  const metadata = new Map<string, object>();
  if (architecture !== undefined) {
    metadata.set('ostree.architecture', { type: 's', value: architecture });
  }
  return { metadata } as unknown as Commit;
}

function packages(...nevras: string[]): PackageFacts[] {
  return nevras.map((nevra) => ({ name: '', nevra, size: 0, changelogTimes: [] }));
}

test('the architecture that the commit declares wins over that of its packages', () => {
  assert.equal(commitArchitecture(commit('aarch64'), packages('a-1-1.x86_64')), 'arm64');
});

test('a declared architecture that is not a machine name is an error', () => {
  assert.throws(() => commitArchitecture(commit('a b'), []), {
    code: 'CORRUPT',
    message: /commit metadata ostree\.architecture: "a b"/,
  });
});

test('without a declared architecture, that of most packages is used', () => {
  const noarchAndX86 = packages('a-1-1.x86_64', 'b-1-1.noarch', 'c-1-1.noarch', 'd-1-1.i686');
  const all = [...noarchAndX86, ...packages('e-1-1.x86_64')];
  assert.equal(commitArchitecture(commit(), all), 'amd64');
});

test('among equally frequent architectures the first by name is used', () => {
  const all = packages('a-1-1.s390x', 'b-1-1.ppc64le');
  assert.equal(commitArchitecture(commit(), all), 'ppc64le');
});

test('without any architecture, that of this machine is used', () => {
  const ownArchitecture = hostPlatform().architecture;
  assert.equal(commitArchitecture(commit(), packages('a-1-1', 'b-2.3-4')), ownArchitecture);
  assert.equal(commitArchitecture(commit(), []), ownArchitecture);
});
