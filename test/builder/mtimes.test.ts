/** The times of the files of plain images. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { withMtimes } from '../../src/builder/mtimes.js';
import { silentLogger } from '../../src/log.js';
import { openRepo } from '../../src/ostree/repo.js';
import type { Claims } from '../../src/plugin.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { FileMap } from '../../src/tree/file-map.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const sha256 = createHash('sha256').update('as shipped').digest('hex');
const claims: Claims = {
  components: new Map(),
  strong: () => [],
  shipped: () => ({ mtime: 1234, sha256 }),
};

for (const mode of ['archive', 'bare-user-only'] as const) {
  test(`other threads hash the files of a commit in a repository of mode ${mode}`, async () => {
    const builder = new RepoBuilder(mode, '', scratchDirectory());
    const root = builder.tree(dir({ other: 'as changed', same: 'as shipped' }));
    const commit = openCommitTree(openRepo(builder.path), builder.commit(root));
    const read = () => assert.fail('the main thread reads a file');

    const entries = await withMtimes(commit.files, { ...commit, read }, [claims], {
      rule: 'packaged',
      jobs: 2,
      log: silentLogger,
      signal: new AbortController().signal,
    });
    const files = new FileMap(entries);
    assert.equal(files.get('/same')?.mtime, 1234);
    assert.equal(files.get('/other')?.mtime, 0);
  });
}
