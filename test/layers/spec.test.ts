/** The specs of layers and their keys. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignComponents } from '../../src/components/assign.js';
import { loadClaims } from '../../src/components/load.js';
import {
  type ChunkLayerSpec,
  chunkLayerSpec,
  commitLayerSpec,
  type FormatVersion,
  layerKey,
} from '../../src/layers/spec.js';
import { writeOstreeLayer } from '../../src/layers/write.js';
import { silentLogger } from '../../src/log.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { repoContent } from '../../src/tree/content-location.js';
import type { TreePath } from '../../src/tree/tree.js';
import { byTopDirectory } from '../support/build-image.js';
import { dir, RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

const repo = new RepoBuilder('archive', '', scratchDirectory());

async function specOf(
  tree: string,
  dirmeta: string,
  version: FormatVersion,
): Promise<ChunkLayerSpec> {
  const commit = openCommitTree(openRepo(repo.path), repo.commit(tree, { dirmeta }));
  const signal = new AbortController().signal;
  const components = await assignComponents(
    commit,
    await loadClaims(commit, [byTopDirectory], { log: silentLogger, signal }),
  );
  return chunkLayerSpec(commit, components, version);
}

async function diffIdOf(spec: ChunkLayerSpec): Promise<string> {
  const hash = createHash('sha256');
  await writeOstreeLayer(repoContent(openRepo(repo.path)), spec, (bytes) => hash.update(bytes));
  return hash.digest('hex');
}

test('two layers have the same key exactly if their tars have the same bytes', async () => {
  const mode = fc.constantFrom(0o40755, 0o40700);
  const attributes = fc.constantFrom(
    {},
    { 'user.a': 'x' },
    { 'user.a': '' },
    { 'security.selinux': 'etc_t' },
  );
  const variant = fc.record({
    mode,
    attributes,
    top: fc.constantFrom('usr', 'sysroot'),
    content: fc.constantFrom('a', 'b', ''),
    second: fc.option(fc.constantFrom('a', 'b')),
    name: fc.constantFrom('n', 'm'),
    version: fc.constantFrom<FormatVersion>(1, 2),
  });
  const seen: { key: string; diffId: string }[] = [];
  await fc.assert(
    fc.asyncProperty(variant, async ({ mode, attributes, top, content, second, name, version }) => {
      const files = new Map([
        [name, content],
        ...(second === null ? [] : [['z', second] as const]),
      ]);
      const xattrs = new Map(
        Object.entries(attributes).map(([key, value]) => [key, Buffer.from(value)]),
      );
      const directory = {
        name: top,
        dirtree: repo.tree(files as TreeSpec),
        dirmeta: repo.dirmeta(mode, xattrs),
      };
      const spec = await specOf(
        repo.dirtree({ files: [], dirs: [directory] }),
        repo.dirmeta(),
        version,
      );
      const layer = { key: layerKey(spec), diffId: await diffIdOf(spec) };
      for (const other of seen) {
        assert.equal(layer.key === other.key, layer.diffId === other.diffId);
      }
      seen.push(layer);
    }),
    { numRuns: 80, endOnFailure: true },
  );
  assert.ok(new Set(seen.map(({ key }) => key)).size > 10);
});

test('a path that looks like another object and its path does not give the same key', () => {
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
  const info = openRepo(repo.path).fileInfo(repo.file({ content: 'any' }));
  const spec = (objects: { checksum: string; paths: TreePath[] }[]): ChunkLayerSpec => ({
    kind: 'chunk',
    formatVersion: 2,
    objects: objects.map((object) => ({ ...object, info })),
    directories: new Map(),
    contentSize: 0,
  });
  const two = spec([
    { checksum: a, paths: ['/x'] },
    { checksum: b, paths: ['/y'] },
  ]);
  assert.notEqual(layerKey(two), layerKey(spec([{ checksum: a, paths: [`/x\n${b}/y`] }])));
});

test('format 2 has all directories above the paths of a layer, format 1 has none', async () => {
  const tree = repo.tree(dir({ usr: dir({ lib: dir({ a: 'x' }), other: dir({}) }) }));
  assert.deepEqual([...(await specOf(tree, repo.dirmeta(), 1)).directories.keys()], []);
  const { directories, contentSize } = await specOf(tree, repo.dirmeta(), 2);
  assert.deepEqual([...directories.keys()].sort(), ['/usr', '/usr/lib']);
  assert.equal(contentSize, 1);
});

const commitSpecOf = (root: ReturnType<typeof dir>) =>
  commitLayerSpec(openCommitTree(openRepo(repo.path), repo.commit(repo.tree(root))), 2);

test('/etc beside /usr/etc is refused unless it is empty', () => {
  const usr = dir({ etc: dir({ passwd: 'x' }) });
  const both = { code: 'UNSUPPORTED', message: /both \/etc and \/usr\/etc/ };
  assert.throws(() => commitSpecOf(dir({ etc: dir({ a: 'a' }), usr })), both);
  assert.throws(() => commitSpecOf(dir({ etc: { target: 'usr/etc' }, usr })), both);
  assert.equal(commitSpecOf(dir({ etc: dir({}), usr })).addVarTmp, true);
});

test('/var/tmp is added unless the commit has it or /var is not a directory', () => {
  assert.equal(commitSpecOf(dir({})).addVarTmp, true);
  assert.equal(commitSpecOf(dir({ var: dir({ tmp: { target: '/tmp' } }) })).addVarTmp, false);
  assert.equal(commitSpecOf(dir({ var: { target: 'run/var' } })).addVarTmp, false);
});
