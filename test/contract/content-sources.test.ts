/**
 * What every content source must do, over the same trees. A new source is one line in
 * `plugins/index.ts`.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { loadContentSources, loadMapping } from '../../plugins/index.js';
import { silentLogger } from '../../src/log.js';
import { openRepo } from '../../src/ostree/repo.js';
import type { ContentSource, Tree } from '../../src/plugin.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { FileMap } from '../../src/tree/file-map.js';
import { buildTree } from '../support/build-tree.js';
import { repoRoot } from '../support/root.js';

const sample = (build: string): Tree => {
  const repo = openRepo(join(repoRoot, 'rpmdb-fixtures/sample', build));
  return openCommitTree(repo, repo.resolve('sample/os'));
};
const trees: Readonly<Record<string, Tree>> = {
  empty: buildTree({ '/': { directory: true } }),
  odd: buildTree({
    '/usr/share/doc/a b': 'x',
    '/usr/share/doc/n\nl': '',
    '/usr/share/\u{1f980}/\u{1f980}': 'x',
    '/usr/lib/modules/6.1/initramfs.img': 'i',
    '/usr/lib/modules/6.1/vmlinuz': 'k',
    '/usr/lib/big': new Uint8Array(1 << 20),
    '/bin': { target: 'usr/bin' },
    '/loop': { target: 'loop' },
    '/usr/local': {
      directory: true,
      xattrs: { 'user.component': 'local', 'user.update-interval': 'weekly' },
    },
    '/usr/local/x': 'x',
    '/top': '',
  }),
  'sample, old': sample('old'),
  'sample, new': sample('new'),
};
/** The same tree, its entries given in another order. */
const shuffled = (tree: Tree): Tree => ({ ...tree, files: new FileMap([...tree.files].reverse()) });

const load = (source: ContentSource, tree: Tree) =>
  source.load({ tree, log: silentLogger, signal: new AbortController().signal });

async function owners(source: ContentSource, tree: Tree) {
  const claims = await load(source, tree);
  return Promise.all(
    [...tree.files].map(async (entry) => ({
      path: entry.path,
      strong: claims.strong(entry),
      weak: (await claims.weak?.(entry)) ?? [],
    })),
  );
}

const mapping = await loadMapping(
  '{"version":1,"paths":{"/usr/lib":"libraries","/etc":"settings","/top":"top"}}',
);
for (const source of [mapping, ...(await loadContentSources())]) {
  for (const [name, tree] of Object.entries(trees)) {
    suite(`content source ${source.name}, tree ${name}`, () => {
      test('every claimed component has facts, and no id contains a version', async (context) => {
        if (!source.detect(tree.files)) {
          return context.diagnostic('has nothing to say of this tree');
        }
        const { components, missing } = await load(source, tree);
        for (const { path, strong, weak } of await owners(source, tree)) {
          for (const id of [...strong, ...weak]) {
            assert.ok(components.has(id), `${path}: ${id}`);
          }
        }
        const lacking = [...(missing?.() ?? [])].map(({ component }) => component);
        assert.deepEqual(
          lacking.filter((id) => !components.has(id)),
          [],
        );
        for (const [id, facts] of components) {
          assert.ok(id !== '' && facts.name !== '' && facts.source !== '', id);
          for (const { nevra, size, changelogTimes } of facts.packages) {
            assert.ok(!id.includes(nevra), `${id} holds a version`);
            assert.ok(size >= 0 && changelogTimes.every((time) => time > 0), id);
          }
        }
      });

      test('claims are the same every time and for any order of the entries', async () => {
        assert.equal(source.detect(shuffled(tree).files), source.detect(tree.files));
        if (!source.detect(tree.files)) {
          return;
        }
        const [first, again] = [await load(source, tree), await load(source, shuffled(tree))];
        assert.deepEqual([...again.components], [...first.components]);
        assert.deepEqual(await owners(source, shuffled(tree)), await owners(source, tree));
      });

      test('the tree is not changed', async () => {
        const before = JSON.stringify([...tree.files]);
        if (source.detect(tree.files)) {
          await owners(source, tree);
        }
        assert.equal(JSON.stringify([...tree.files]), before);
      });
    });
  }
}

test('names and priorities are unique, and the last source claims everything', async () => {
  const sources = [mapping, ...(await loadContentSources())];
  assert.equal(new Set(sources.map(({ name }) => name)).size, sources.length);
  assert.equal(new Set(sources.map(({ priority }) => priority)).size, sources.length);
  const last = sources.toSorted((a, b) => a.priority - b.priority).at(-1) as ContentSource;
  for (const tree of Object.values(trees)) {
    for (const { path, strong } of await owners(last, tree)) {
      assert.notDeepEqual(strong, [], path);
    }
  }
});
