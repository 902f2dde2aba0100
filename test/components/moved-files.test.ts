/** Files that were moved since their packages installed them are found again by their content. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { loadContentSources } from '../../plugins/index.js';
import { assignComponents } from '../../src/components/assign.js';
import { loadClaims } from '../../src/components/load.js';
import { silentLogger } from '../../src/log.js';
import type { Tree } from '../../src/plugin.js';
import { FileMap } from '../../src/tree/file-map.js';
import { buildDatabase } from '../support/build-database.js';
import { buildTree } from '../support/build-tree.js';
import type { Specs } from '../support/load-source.js';

const KERNEL = 'a kernel';
const COMMON = 'what two packages ship';
const TWICE = 'what one package ships twice';

function digest(algorithm: string, content: string, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash(algorithm).update(content).digest(encoding);
}

/** Returns `tree` as if it had been read from a directory: with digests of its content. */
function withDigests(tree: Tree): Tree {
  const entries = [...tree.files].map((entry) => {
    if (entry.type !== 'file') {
      return entry;
    }
    const [content] = tree.read(entry.path) as Iterable<Uint8Array>;
    const contentDigest = createHash('sha256')
      .update(content ?? '')
      .digest('hex');
    return { ...entry, contentDigest };
  });
  return { ...tree, files: new FileMap(entries) };
}

/** Returns the owner of each path, as the built-in sources have it. */
async function ownersOf(tree: Tree): Promise<Readonly<Record<string, string>>> {
  const { signal } = new AbortController();
  const sources = await loadContentSources();
  const claims = await loadClaims(tree, sources, { log: silentLogger, signal });
  const owners: Record<string, string> = {};
  for (const { id, objects } of await assignComponents(tree, claims, ({ path }) => path)) {
    for (const { path } of [...objects.values()].flat()) {
      owners[path] = id;
    }
  }
  return owners;
}

/** The files of the packages `one` and `two`; `here` is at its path, the others are not. */
const shipped: Readonly<Record<string, readonly (readonly [path: string, content: string])[]>> = {
  one: [
    ['/boot/kernel', KERNEL],
    ['/usr/share/one', COMMON],
    ['/usr/share/empty', ''],
    ['/usr/share/twice', TWICE],
    ['/usr/share/again', TWICE],
    ['/usr/share/here', 'here'],
  ],
  two: [['/usr/share/two', COMMON]],
};
const files: Specs = {
  '/usr/share/here': 'here',
  '/usr/lib/modules/6.1/vmlinuz': KERNEL,
  '/opt/a/b/common': COMMON,
  '/opt/a/b/empty': '',
  '/opt/a/b/twice': TWICE,
  '/opt/a/b/other': 'what no package ships',
  '/opt/a/b/copy': 'here',
};

function rpmDatabase(): Specs {
  const packages = Object.entries(shipped).map(([name, list]) => ({
    name,
    arch: 'x',
    files: list.map(([path, content]) => ({ path, content })),
  }));
  return { '/usr/lib/sysimage/rpm/rpmdb.sqlite': buildDatabase(packages) };
}

function dpkgDatabase(): Specs {
  const specs: Record<string, string> = { '/var/lib/dpkg/status': '' };
  for (const [name, list] of Object.entries(shipped)) {
    specs['/var/lib/dpkg/status'] += `Package: ${name}\nArchitecture: x\n\n`;
    const sums = list.map(([path, content]) => `${digest('md5', content)}  ${path.slice(1)}\n`);
    specs[`/var/lib/dpkg/info/${name}.md5sums`] = sums.join('');
  }
  return specs;
}

function apkDatabase(): Specs {
  const lines: string[] = [];
  for (const [name, list] of Object.entries(shipped)) {
    lines.push(`P:${name}`, 'A:x', 'F:');
    for (const [path, content] of list) {
      lines.push(`R:${path.slice(1)}`, `Z:Q1${digest('sha1', content, 'base64')}`);
    }
    lines.push('');
  }
  return { '/lib/apk/db/installed': lines.join('\n') };
}

function alpmDatabase(): Specs {
  const specs: Record<string, string | Uint8Array> = {};
  for (const [name, list] of Object.entries(shipped)) {
    const folder = `/var/lib/pacman/local/${name}-1`;
    specs[`${folder}/desc`] = `%NAME%\n${name}\n\n%ARCH%\nx\n`;
    specs[`${folder}/files`] = `%FILES%\n${list.map(([path]) => path.slice(1)).join('\n')}\n`;
    const mtree = list.map(([path, content]) => {
      const size = Buffer.byteLength(content);
      return `.${path} size=${size} sha256digest=${digest('sha256', content)}\n`;
    });
    specs[`${folder}/mtree`] = gzipSync(mtree.join(''));
  }
  return specs;
}

const databases = { rpm: rpmDatabase, dpkg: dpkgDatabase, apk: apkDatabase, alpm: alpmDatabase };
for (const [name, database] of Object.entries(databases)) {
  test(`a moved file belongs to the package that shipped its content, by ${name}`, async () => {
    const owners = await ownersOf(withDigests(buildTree({ ...files, ...database() })));
    const { '/usr/share/here': here, '/usr/lib/modules/6.1/vmlinuz': kernel } = owners;
    assert.deepEqual([here, kernel, owners['/opt/a/b/twice']], ['one.x', 'one.x', 'one.x']);
    for (const path of ['common', 'empty', 'other', 'copy']) {
      assert.equal(owners[`/opt/a/b/${path}`], 'dir:/opt/a/b', path);
    }
  });
}

test('in a commit, whose content nobody has read, no content is read to find moved files', async () => {
  const tree = buildTree({ ...files, ...rpmDatabase() });
  const owners = await ownersOf({ ...tree, read: () => assert.fail('content was read') });
  assert.equal(owners['/usr/share/here'], 'one.x');
  assert.equal(owners['/usr/lib/modules/6.1/vmlinuz'], 'kernel');
});
