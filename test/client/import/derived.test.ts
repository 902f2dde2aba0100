/** Derived layers in the forms that builders give them; ostree judges how they are read. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { mutableTreeOfCommit } from '../../../src/client/merge.js';
import { pullImage } from '../../../src/client/pull.js';
import type { PlannedEvent } from '../../../src/client/session.js';
import type { ImageReader } from '../../../src/oci/image.js';
import { openRepo } from '../../../src/ostree/repo.js';
import type { MutableTree } from '../../../src/ostree/write/mutable-tree.js';
import { buildImage } from '../../support/build-image.js';
import { dir } from '../../support/build-repo.js';
import { type ForgedEntry, forge, writeTar } from '../../support/forge-image.js';
import { importOptions, newRepo } from '../../support/import-image.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

let image: ImageReader;
before(async () => {
  image = (await buildImage(dir({ usr: dir({ base: 'base' }) }))).image;
});

const directory = (name: string): ForgedEntry => ({ name, type: 'directory', mode: 0o755 });
const file = (name: string, text: string): ForgedEntry => ({
  name,
  type: 'file',
  content: Buffer.from(text),
});
const link = (name: string, linkname: string): ForgedEntry => ({ name, type: 'link', linkname });

/** The merged tree of an image with a layer of `entries`. */
async function pulledTree(entries: readonly ForgedEntry[], base = image): Promise<MutableTree> {
  const { imgref } = await forge(base, () => {}, {}, [entries]);
  const repo = newRepo();
  const { mergeCommit } = await pullImage(importOptions(repo, imgref));
  return mutableTreeOfCommit(openRepo(repo), mergeCommit);
}

/** The tree that ostree makes of a tar of `entries`. */
function treeByOstree(entries: readonly ForgedEntry[]): MutableTree {
  const scratch = scratchDirectory();
  const tar = join(scratch, 'layer.tar');
  writeFileSync(tar, writeTar(entries));
  const repo = newRepo();
  const args = ['--branch=layer', `--tree=tar=${tar}`, '--tar-autocreate-parents'];
  run('ostree', ['commit', `--repo=${repo}`, ...args]);
  const opened = openRepo(repo);
  return mutableTreeOfCommit(opened, opened.resolve('layer'));
}

suite('a hard link before the file that it names', () => {
  const entries = [
    directory('usr'),
    link('usr/a', 'usr/b'),
    link('usr/b', './usr/c'),
    file('usr/c', 'content'),
    link('usr/d', 'usr/c'),
  ];
  const names = ['a', 'b', 'c', 'd'];

  test('is a link to it', async () => {
    const tree = await pulledTree(entries);
    const [checksum, ...others] = names.map((name) => tree.lookup(`usr/${name}`));
    assert.ok(checksum);
    assert.deepEqual(others, [checksum, checksum, checksum]);
    assert.ok(tree.lookup('usr/base'));
  });

  test('is read as ostree reads it', needs('ostree'), async () => {
    // Whether ostree follows a link to a later link depends on the order of its hash table.
    const read = [link('usr/a', 'usr/c'), link('usr/b', '/usr/c'), ...entries.slice(3)];
    const tree = await pulledTree(read);
    const expected = treeByOstree(read);
    for (const name of names) {
      assert.ok(expected.lookup(`usr/${name}`), name);
      assert.equal(tree.lookup(`usr/${name}`), expected.lookup(`usr/${name}`), name);
    }
  });

  test('is replaced by a file of its name that follows', async () => {
    const tree = await pulledTree([
      file('usr/a', 'first'),
      link('usr/a', 'usr/b'),
      file('usr/a', 'last'),
      file('usr/b', 'target'),
    ]);
    const expected = await pulledTree([file('usr/a', 'last')]);
    assert.equal(tree.lookup('usr/a'), expected.lookup('usr/a'));
  });

  test('is replaced by a link of its name that follows and waits, too', async () => {
    const tree = await pulledTree([
      link('usr/a', 'usr/b'),
      link('usr/a', 'usr/c'),
      file('usr/b', 'first'),
      file('usr/c', 'last'),
    ]);
    assert.ok(tree.lookup('usr/c'));
    assert.equal(tree.lookup('usr/a'), tree.lookup('usr/c'));
  });

  test('follows the file into /usr/etc', async () => {
    const tree = await pulledTree([link('usr/a', 'etc/b'), file('etc/b', 'target')]);
    assert.ok(tree.lookup('usr/a'));
    assert.equal(tree.lookup('usr/a'), tree.lookup('usr/etc/b'));
  });

  test('is refused if the layer does not have that file', async () => {
    for (const missing of [
      [link('usr/a', 'usr/base')],
      [link('usr/a', 'usr/b'), link('usr/b', 'usr/a')],
      [link('usr/a', 'usr/b'), directory('usr/b')],
    ]) {
      await assert.rejects(pulledTree(missing), {
        code: 'CORRUPT',
        message: /entry "usr\/a": is a link to usr\/b(ase)?, which the layer does not have/,
      });
    }
  });

  test('is refused if it becomes a directory', async () => {
    const entries = [link('usr/a', 'usr/b'), directory('usr/a'), file('usr/b', '')];
    await assert.rejects(pulledTree(entries), {
      code: 'CORRUPT',
      message: /entry "usr\/a": is a link and a directory in the same layer/,
    });
  });
});

test('a layer that occurs twice is fetched once and takes effect at both places', async () => {
  const layer = [file('usr/a', 'again'), file('usr/b', 'stays')];
  const removal = [file('usr/.wh.a', '')];
  const { imgref } = await forge(image, () => {}, {}, [layer, removal, layer]);
  const fetched: number[] = [];
  const counts: PlannedEvent[] = [];
  const repo = newRepo();
  const { mergeCommit } = await pullImage({
    ...importOptions(repo, imgref),
    onEvent: (event) => {
      if (event.event === 'fetching') {
        fetched.push(event.layer);
      } else if (event.event === 'planned') {
        counts.push(event);
      }
    },
  });
  assert.deepEqual(fetched.sort(), [0, 1, 2, 3]);
  const [planned] = counts;
  assert.equal(planned?.layersNeeded, 4);
  assert.equal(planned.layersPresent, 1);

  const tree = mutableTreeOfCommit(openRepo(repo), mergeCommit);
  for (const name of ['usr/a', 'usr/b', 'usr/base']) {
    assert.ok(tree.lookup(name), name);
  }
});

test('a config that states two diff_ids for one blob is refused', async () => {
  const layer = [file('usr/a', 'text')];
  const lie = (diffIds: string[]) => void diffIds.splice(-1, 1, `sha256:${'0'.repeat(64)}`);
  const { imgref } = await forge(image, () => {}, {}, [layer, layer], lie);
  await assert.rejects(pullImage(importOptions(newRepo(), imgref)), {
    code: 'CORRUPT',
    message: /layer 3 .*diff_?id/,
  });
});

test('a layer whose /etc is no directory is refused', async () => {
  for (const entries of [
    [file('etc', 'text')],
    [file('usr/etc', 'text')],
    [{ name: 'etc', type: 'symlink', linkname: 'usr/etc' } as const],
    [file('usr/a', 'text'), link('etc', 'usr/a')],
  ]) {
    await assert.rejects(pulledTree(entries), {
      code: 'UNSUPPORTED',
      message: /: is a (file|symlink|link), but an ostree system needs a directory \/etc$/,
    });
  }
});

test('only /etc and /usr/lib have a prepare-root.conf that keeps other top directories', async () => {
  const ostree = dir({ 'prepare-root.conf': '[composefs]\nenabled = yes\n' });
  const conf = dir({ ostree });
  const bases = {
    'etc/ostree': dir({ etc: conf, usr: dir({ a: '' }) }),
    'usr/lib/ostree': dir({ usr: dir({ lib: conf }) }),
    'usr/etc/ostree': dir({ usr: dir({ etc: conf }) }),
  };
  const kept: string[] = [];
  for (const [place, spec] of Object.entries(bases)) {
    const base = await buildImage(spec);
    const tree = await pulledTree([file('opt/vendor', 'text')], base.image);
    assert.ok(tree.lookup(`${place}/prepare-root.conf`));
    if (tree.lookup('opt/vendor') !== undefined) {
      kept.push(place);
    }
  }
  assert.deepEqual(kept, ['etc/ostree', 'usr/lib/ostree']);
});

/** An SELinux policy that knows one type. */
function policy(type: string) {
  return dir({
    config: 'SELINUX=enforcing\nSELINUXTYPE=test\n',
    test: dir({
      contexts: dir({
        files: dir({ file_contexts: `/.* system_u:object_r:${type}:s0\n` }),
      }),
    }),
  });
}

test('a layer that removes the SELinux policy is labeled by that of the base', async () => {
  const spec = dir({ usr: dir({ etc: dir({ selinux: policy('base_t') }) }) });
  const base = await buildImage(spec);
  for (const whiteout of ['etc/.wh.selinux', 'etc/selinux/.wh..wh..opq']) {
    const tree = await pulledTree([file(whiteout, ''), file('usr/added', 'text')], base.image);
    assert.equal(tree.lookup('usr/etc/selinux/config'), undefined);
    const { xattrs } = tree.repo.fileInfo(tree.lookup('usr/added') ?? '');
    const label = Buffer.from(xattrs.get('security.selinux') ?? []).toString();
    assert.equal(label, 'system_u:object_r:base_t:s0\0', whiteout);
  }
});

test('a path can be a file in one layer and a directory in another', async () => {
  const spec = dir({ usr: dir({ etc: dir({ selinux: policy('base_t') }) }) });
  const base = await buildImage(spec);
  const asFile = file('usr/foo', 'text');
  const inDirectory = file('usr/foo/bar', 'text');
  const whiteout = file('usr/.wh.foo', '');
  for (const [below, above, path] of [
    [asFile, inDirectory, 'usr/foo/bar'],
    [inDirectory, asFile, 'usr/foo'],
  ] as const) {
    const { imgref } = await forge(base.image, () => {}, {}, [[below], [whiteout, above]]);
    const repo = newRepo();
    const { mergeCommit } = await pullImage(importOptions(repo, imgref));
    assert.ok(mutableTreeOfCommit(openRepo(repo), mergeCommit).lookup(path));
  }
});
