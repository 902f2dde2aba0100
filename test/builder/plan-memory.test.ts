/** What a plan keeps in memory while the layers are written. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { planPlainImage, writePlainImage } from '../../src/builder/build.js';
import { planNewCommit } from '../../src/builder/encapsulate.js';
import type { ImagePlan } from '../../src/builder/image-plan.js';
import { silentLogger } from '../../src/log.js';
import { createImage } from '../../src/transports/image-reference.js';
import type { LocatedTree } from '../../src/tree/content-location.js';
import { openDirectoryTree } from '../../src/tree/directory-tree.js';
import { walkDirectory } from '../../src/tree/directory-walk.js';
import type { FileEntry } from '../../src/tree/tree.js';
import { byTopDirectory, separate } from '../support/build-image.js';
import { collectGarbage } from '../support/collect-garbage.js';
import { scratchDirectory } from '../support/scratch.js';

const context = { log: silentLogger, signal: new AbortController().signal };

function directoryOfFiles(count: number): string {
  const root = scratchDirectory();
  mkdirSync(join(root, 'a'));
  for (let i = 0; i < count; i++) {
    writeFileSync(join(root, 'a', String(i).padStart(20, '0')), '');
  }
  return root;
}

const layoutOptions = {
  ...context,
  sources: [byTopDirectory],
  strategy: separate,
  maxLayers: 9,
};

function planPlain(tree: LocatedTree) {
  return planPlainImage({ ...layoutOptions, tree, mtimes: { rule: 'keep' } });
}

function planCommit(tree: LocatedTree) {
  return planNewCommit({ ...layoutOptions, tree, commit: {}, formatVersion: 2 });
}

/** Returns a plan and a weak reference to an entry of its tree. */
async function planOf(root: string, planTree: (tree: LocatedTree) => Promise<ImagePlan>) {
  const tree = await openDirectoryTree(root, { ...context, jobs: 1 });
  const entry = tree.files.get('/a/00000000000000000001');
  assert(entry !== undefined);
  const plan = await planTree(tree);
  return { plan, entry: new WeakRef<FileEntry>(entry) };
}

for (const [name, planTree] of Object.entries({ planPlain, planCommit })) {
  test(`a plan does not keep the entries of the tree that it was made of: ${name}`, async () => {
    const { plan, entry } = await planOf(directoryOfFiles(3), planTree);
    await collectGarbage();
    assert.equal(entry.deref(), undefined);
    assert(plan.chunks.some(({ contentSize }) => contentSize === 0));
  });
}

test('what planning has left is freed before layers are written', async () => {
  const { plan, entry } = await planOf(directoryOfFiles(3), planPlain);
  const image = await createImage(`oci:${join(scratchDirectory(), 'image')}`);
  await writePlainImage(plan, image, {
    ...context,
    compression: { name: 'gzip', level: 1 },
    jobs: 1,
    architecture: 'amd64',
  });
  assert.equal(entry.deref(), undefined);
});

test('the walk of a directory holds an entry in 230 bytes', async () => {
  const root = directoryOfFiles(5000);
  // Node compiles in the background, which uses memory, too: the least of several walks counts.
  const sizes: number[] = [];
  const kept: unknown[] = [];
  for (let round = 0; round < 4; round++) {
    await collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const entries = walkDirectory(root, context);
    kept.push(entries);
    await collectGarbage();
    const after = process.memoryUsage().heapUsed;
    sizes.push((after - before) / entries.length);
  }
  assert(Math.min(...sizes) < 230, `${sizes}`);
});
