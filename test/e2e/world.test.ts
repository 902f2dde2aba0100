/** The world of the end-to-end tests has the odd files that they are about. */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/run.js';
import { needs } from '../support/tools.js';
import { BIG_UID, listPackages, world, worldNeeds } from '../support/world.js';

// Without the odd files, every test of the world would pass without showing anything.
test(
  'the world holds the odd files that the other tests are about',
  needs(...worldNeeds),
  async () => {
    const { repo, oldCommit, newCommit, oldTree, newTree } = await world();
    run('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
    assert.equal(run('ostree', [`--repo=${repo}`, 'rev-parse', 'os/old']).trim(), oldCommit);
    assert.notEqual(oldCommit, newCommit);

    const stat = (path: string) => lstatSync(join(oldTree, 'usr', path));
    assert.equal(stat('share/odd/mode0000').mode & 0o7777, 0);
    assert.equal(stat('bin/setuid-tool').mode & 0o7777, 0o4755);
    assert.equal(stat('bin/setgid-tool').gid, 5678);
    assert.equal(stat('share/odd-owner/big-uid').uid, BIG_UID);
    assert.equal(stat('libexec/hard/first').ino, stat('libexec/hard/third').ino);
    assert.match(run('getcap', [join(oldTree, 'usr/bin/capable')]), /cap_net_raw,cap_sys_admin=ep/);
    const names = run('find', [join(oldTree, 'usr/share/odd-names-unowned'), '-name', '*\n*']);
    assert.match(names, /line\nfeed/);

    const packagesOf = (tree: string) => listPackages(tree, '%{name}-%{version}.%{arch}');
    const old = packagesOf(oldTree);
    for (const id of [
      'kernel-core-5.1.x86_64',
      'kernel-core-6.2.x86_64',
      'libpair-3.i686',
      'libpair-3.x86_64',
    ]) {
      assert.ok(old.includes(id), `${id} is not in ${old}`);
    }
    assert.ok(old.includes('no-files-1.noarch') && old.includes('hard-links-1.x86_64'));
    const updated = packagesOf(newTree);
    assert.ok(updated.includes('added-1.noarch') && updated.includes('hard-links-2.x86_64'));
    assert.ok(!updated.includes('no-files-1.noarch') && !updated.includes('hard-links-1.x86_64'));
  },
);
