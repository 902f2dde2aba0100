/**
 * Whiteouts mean the same to both readers of layers: the tree of an image (src/tree/image.ts)
 * and the merge of a pull (src/client/merge.ts).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutableTreeOfCommit, overlay } from '../../src/client/merge.js';
import { openRepo } from '../../src/ostree/repo.js';
import type { MutableTree } from '../../src/ostree/write/mutable-tree.js';
import { openImageTree } from '../../src/tree/image.js';
import { dir, RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { type ForgedEntry, writeTar } from '../support/forge-image.js';
import { memoryImage } from '../support/memory-image.js';

const built = new RepoBuilder('archive');
const repo = openRepo(built.path);

/** Paths of the files and directories, directories with a slash at the end. */
async function pathsOfImage(base: TreeSpec, layer: TreeSpec): Promise<string[]> {
  const layers = [base, layer].map((spec) => writeTar(entriesOf(spec, '')));
  const { files } = await openImageTree(memoryImage({ layers }));
  const paths = Array.from(files, ({ path, type }) => (type === 'directory' ? `${path}/` : path));
  return paths.filter((path) => path !== '//').sort();
}

function entriesOf(spec: TreeSpec, parent: string): ForgedEntry[] {
  return [...spec].flatMap(([name, each]): ForgedEntry[] => {
    const path = `${parent}${name}`;
    return each instanceof Map
      ? [{ name: path, type: 'directory' }, ...entriesOf(each, `${path}/`)]
      : [{ name: path, type: 'file' }];
  });
}

function pathsOfMerge(base: TreeSpec, layer: TreeSpec): string[] {
  const treeOf = (spec: TreeSpec) => mutableTreeOfCommit(repo, built.commit(built.tree(spec)));
  const merged = treeOf(base);
  overlay(merged, treeOf(layer));
  return pathsBelow(merged, '/').sort();
}

function pathsBelow(tree: MutableTree, parent: string): string[] {
  const files = Array.from(tree.files.keys(), (name) => `${parent}${name}`);
  const dirs = [...tree.dirs].flatMap(([name, directory]) => {
    const path = `${parent}${name}/`;
    return [path, ...pathsBelow(directory, path)];
  });
  return [...files, ...dirs];
}

async function assertBoth(base: TreeSpec, layer: TreeSpec, expected: string[]): Promise<void> {
  assert.deepEqual(await pathsOfImage(base, layer), expected, 'tree of the image');
  assert.deepEqual(pathsOfMerge(base, layer), expected, 'merge of a pull');
}

test('files and directories of AUFS are not part of the result', async () => {
  const layer = dir({
    '.wh..wh.aufs': '',
    '.wh..wh.orph': dir({}),
    '.wh..wh.plnk': dir({ '123.456': '' }),
    usr: dir({ '.wh..wh.plnk': dir({ deep: dir({ file: '' }) }), new: '' }),
  });
  await assertBoth(dir({ usr: dir({ old: '' }) }), layer, ['/usr/', '/usr/new', '/usr/old']);
});

test('an opaque directory hides what lower layers have in it', async () => {
  const base = dir({ other: '', usr: dir({ old: '', sub: dir({ old: '' }) }) });
  const layer = dir({ usr: dir({ '.wh..wh..opq': '', new: '', sub: dir({ new: '' }) }) });
  const expected = ['/other', '/usr/', '/usr/new', '/usr/sub/', '/usr/sub/new'];
  await assertBoth(base, layer, expected);
});

test('a whiteout hides what lower layers have, and not what its own layer has', async () => {
  const base = dir({ file: '', usr: dir({ old: '' }) });
  const layer = dir({ '.wh.file': '', '.wh.missing': '', '.wh.usr': '', usr: dir({ new: '' }) });
  await assertBoth(base, layer, ['/usr/', '/usr/new']);
});

test('a whiteout that names no file is refused', async () => {
  for (const name of ['.wh.', '.wh..', '.wh...']) {
    const layer = dir({ usr: dir({ [name]: '' }) });
    const error = { code: 'CORRUPT', message: /names no file/ };
    await assert.rejects(pathsOfImage(dir({}), layer), error);
    assert.throws(() => pathsOfMerge(dir({ usr: dir({}) }), layer), error);
  }
});
