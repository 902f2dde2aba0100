/** The tar of a layer as GNU tar lists and unpacks it, also where file systems have limits. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { commitLayerSpec, type OstreeLayerSpec } from '../../src/layers/spec.js';
import { MAX_LINKS, writeOstreeLayer } from '../../src/layers/write.js';
import { silentLogger } from '../../src/log.js';
import { encodeMetadata } from '../../src/ostree/objects/commit.js';
import { objectPath } from '../../src/ostree/objects/object-name.js';
import { type OstreeRepo, openRepo } from '../../src/ostree/repo.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { repoContent } from '../../src/tree/content-location.js';
import type { TreePath } from '../../src/tree/tree.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const REPO = 'sysroot/ostree/repo';
const built = new RepoBuilder('archive', '', scratchDirectory());

async function write(spec: OstreeLayerSpec, repo = openRepo(built.path)): Promise<string> {
  const path = join(scratchDirectory(), 'layer.tar');
  const fd = openSync(path, 'wx');
  const pending: Uint8Array[] = [];
  await writeOstreeLayer(repoContent(repo), spec, (bytes) => {
    pending.push(Uint8Array.from(bytes));
    if (pending.length > 10_000) {
      writeSync(fd, Buffer.concat(pending.splice(0)));
    }
  });
  writeSync(fd, Buffer.concat(pending));
  closeSync(fd);
  return path;
}

function tar(...args: string[]): string[] {
  const result = spawnSync('tar', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout.split('\n').slice(0, -1);
}

function unpack(layer: string): string {
  const target = scratchDirectory();
  tar('-xf', layer, '-C', target);
  return target;
}

const chunk = (
  objects: readonly (readonly [checksum: string, paths: readonly TreePath[]])[],
  repo = openRepo(built.path),
): OstreeLayerSpec => ({
  kind: 'chunk',
  formatVersion: 2,
  objects: objects.map(([checksum, paths]) => ({ checksum, paths, info: repo.fileInfo(checksum) })),
  directories: new Map(
    ['/usr', '/usr/etc'].map((path) => [
      path,
      { mode: 0o40711, uid: 0, gid: 0, xattrs: new Map() },
    ]),
  ),
  contentSize: 0,
});
const object = (checksum: string) => `${REPO}/objects/${objectPath(checksum, 'file')}`;
/** The names in a layer, without those of the repository that every layer begins with. */
const content = (layer: string) =>
  tar('-tf', layer, '--quoting-style=literal').filter(
    (name) => !/^sysroot(\/ostree(\/repo(\/[^.]*)?)?)?$/.test(name),
  );

suite('ostree layers', needs('tar'), () => {
  test('an object is written after its xattrs, and then a link for each path after its directories', async () => {
    const file = built.file({
      content: 'x',
      mode: 0o4755,
      xattrs: new Map([['user.a', Buffer.from('1')]]),
    });
    const link = built.file({ target: 'usr//bin' });
    const layer = await write(
      chunk([
        [file, ['/usr/a', '/usr/etc/b']],
        [link, ['/bin']],
      ]),
    );
    assert.deepEqual(content(layer), [
      `${object(file)}-xattrs-link`,
      object(file),
      'usr',
      'usr/a',
      'etc',
      'etc/b',
      `${object(link)}-xattrs-link`,
      object(link),
      'bin',
    ]);
    const root = unpack(layer);
    const inode = (path: string) => lstatSync(join(root, path)).ino;
    assert.equal(inode('usr/a'), inode(object(file)));
    assert.equal(inode('etc/b'), inode(object(file)));
    assert.equal(inode('bin'), inode(object(link)));
    assert.deepEqual(
      readFileSync(join(root, `${object(file)}-xattrs-link`)).includes('user.a'),
      true,
    );
    assert.equal(
      readFileSync(join(root, REPO, 'config'), 'utf8'),
      '[core]\nrepo_version=1\nmode=bare-split-xattrs\n',
    );
    assert.match(tar('-tvf', layer).find((line) => line.includes(' bin link to')) ?? '', /^h/);
  });

  test('the commit layer holds the root, the commit, and each directory between its objects', async () => {
    const commit = built.commit(
      built.tree(dir({ sysroot: dir({ tmp: dir({}) }), usr: dir({ etc: dir({}) }) })),
    );
    const tree = openCommitTree(openRepo(built.path), commit, silentLogger);
    const detachedMetadata = encodeMetadata(new Map());
    const names = content(await write(commitLayerSpec({ ...tree, detachedMetadata }, 2)));
    assert.deepEqual(names.slice(0, 3), [
      './',
      `${REPO}/objects/${objectPath(commit, 'commit')}`,
      `${REPO}/objects/${objectPath(commit, 'commitmeta')}`,
    ]);
    const places = names.filter((name) => !name.startsWith(REPO));
    assert.deepEqual(places, ['./', 'usr', 'etc', 'sysroot/tmp', 'var/tmp']);
    const objects = new Set(
      tree.directories.flatMap(({ dirtree, dirmeta }) => [
        objectPath(dirtree, 'dirtree'),
        objectPath(dirmeta, 'dirmeta'),
      ]),
    );
    const written = names
      .filter((name) => /\.dir(tree|meta)$/.test(name))
      .map((name) => name.replace(`${REPO}/objects/`, ''));
    assert.deepEqual(
      written.toSorted(),
      [...objects].sort(),
      'each once, those below /sysroot too',
    );
  });

  test('an empty file is a copy at each of its paths', async () => {
    const empty = built.file({ content: '' });
    const paths = Array.from({ length: 70_000 }, (_, i): TreePath => `/usr/${i}`);
    const layer = await write(chunk([[empty, paths]]));
    assert.equal(content(layer).length, 3 + paths.length);
    assert.equal(tar('-tvf', layer).filter((line) => line.startsWith('h')).length, 0);
  });

  test('the xattrs of 70,000 objects without xattrs are files, not links to one file', async () => {
    const repo = openRepo(built.path);
    const [info] = [repo.fileInfo(built.file({ content: 'x' }))];
    // Made-up objects: writing 70,000 real ones would test the file system.
    const endless: OstreeRepo = Object.create(repo, {
      fileInfo: { value: () => info },
      readFile: { value: () => [Buffer.from('x')] },
    });
    const objects = Array.from(
      { length: 70_000 },
      (_, i) => [i.toString(16).padStart(64, '0'), [`/usr/${i}` as TreePath]] as const,
    );
    const layer = await write(chunk(objects, endless), endless);
    const lines = tar('-tvf', layer);
    assert.equal(lines.filter((line) => line.endsWith('-xattrs-link')).length, objects.length);
    const links = lines.filter((line) => line.startsWith('h'));
    assert.equal(links.length, objects.length);
    assert.equal(
      new Set(links.map((line) => line.split(' link to ')[1])).size,
      objects.length,
      'no two links to one file',
    );
  });

  test('an object with 70,000 paths is copied before a file system runs out of links', async () => {
    const file = built.file({ content: 'same' });
    const paths = Array.from({ length: 70_000 }, (_, i): TreePath => `/usr/${i}`);
    const layer = await write(chunk([[file, paths]]));
    const targets = new Map<string, number>();
    for (const line of tar('-tvf', layer)) {
      const target = line.split(' link to ')[1];
      if (target !== undefined) {
        targets.set(target, (targets.get(target) ?? 0) + 1);
      }
    }
    assert.deepEqual(
      [...targets],
      [
        [object(file), MAX_LINKS],
        [`usr/${MAX_LINKS}`, 70_000 - MAX_LINKS - 1],
      ],
    );
    const root = unpack(layer);
    assert.equal(readFileSync(join(root, 'usr/69999'), 'utf8'), 'same');
    assert.ok(lstatSync(join(root, 'usr/0')).nlink <= 65_000);
  });

  test('an object with too few bytes is refused', async () => {
    const file = built.file({ content: 'true' });
    const repo = openRepo(built.path);
    const lying: OstreeRepo = Object.create(repo, {
      fileInfo: { value: () => repo.fileInfo(file) },
      readFile: { value: () => [Buffer.from('tru')] },
    });
    await assert.rejects(write(chunk([[file, ['/usr/a']]]), lying), {
      code: 'CORRUPT',
      message: new RegExp(file),
    });
  });
});
