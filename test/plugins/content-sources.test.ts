/**
 * What the sources that need no package database claim; what all sources must do is in
 * `test/contract`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bigfiles } from '../../plugins/bigfiles/index.js';
import { kernel } from '../../plugins/kernel/index.js';
import { mapping } from '../../plugins/mapping/index.js';
import { subtree } from '../../plugins/subtree/index.js';
import { xattr } from '../../plugins/xattr/index.js';
import type { ContentSource, FileEntry, TreePath } from '../../src/plugin.js';
import { buildTree, type EntrySpec } from '../support/build-tree.js';

async function load(source: ContentSource, specs: Readonly<Record<TreePath, EntrySpec>>) {
  const tree = buildTree(specs);
  const warnings: string[] = [];
  const log = { warn: (message: string) => warnings.push(message), info() {}, progress() {} };
  const claims = await source.load({ tree, log, signal: new AbortController().signal });
  const owners = Object.fromEntries(
    (Object.keys(specs) as TreePath[]).map((path) => [
      path,
      claims.strong(tree.files.get(path) as FileEntry)[0],
    ]),
  );
  return { owners, components: claims.components, warnings, detected: source.detect(tree.files) };
}

test('bigfiles: each file of 1 MiB or more is a component', async () => {
  const [big, small] = [new Uint8Array(1 << 20), new Uint8Array((1 << 20) - 1)];
  const { owners, components, detected } = await load(bigfiles, {
    '/a/big': big,
    '/a/big2': big,
    '/a/small': small,
  });
  assert.deepEqual(owners, {
    '/a/big': 'file:/a/big',
    '/a/big2': 'file:/a/big2',
    '/a/small': undefined,
  });
  assert.deepEqual([...components.keys()], ['file:/a/big', 'file:/a/big2']);
  assert.equal(detected, true);
  assert.equal((await load(bigfiles, { '/a/small': small })).detected, false);
});

test('kernel: the initramfs is one component, other files directly beside a kernel are another', async () => {
  const { owners, detected } = await load(kernel, {
    '/usr/lib/modules/6.1/initramfs.img': '',
    '/usr/lib/modules/6.1/initrd': '',
    '/usr/lib/modules/6.1/vmlinuz': '',
    '/usr/lib/modules/6.1/modules.dep': '',
    '/usr/lib/modules/6.1/kernel/fs/ext4.ko': '',
    '/usr/lib/modules/readme': '',
  });
  assert.deepEqual(Object.values(owners), [
    'initramfs',
    'initramfs',
    'kernel',
    'kernel',
    undefined,
    undefined,
  ]);
  assert.equal(detected, true);
  assert.equal(
    (await load(kernel, { '/usr/lib/modules/6.1': { directory: true } })).detected,
    false,
  );
});

test('subtree: a component is named after the first three directories of a path', async () => {
  const { owners } = await load(subtree, {
    '/top': '',
    '/usr/x': '',
    '/usr/share/doc/x': '',
    '/usr/share/doc/deep/er/x': '',
    '/usr/share/doc/deep/link': { target: 'x' },
  });
  assert.deepEqual(Object.values(owners), [
    'dir:/',
    'dir:/usr',
    'dir:/usr/share/doc',
    'dir:/usr/share/doc',
    'dir:/usr/share/doc',
  ]);
});

const named = (name: string | Uint8Array, interval?: string): EntrySpec => ({
  xattrs: {
    'user.component': name,
    ...(interval !== undefined && { 'user.update-interval': interval }),
  },
});
const folder = (name: string, interval?: string): EntrySpec => ({
  ...(named(name, interval) as object),
  directory: true,
});

test('xattr: directories pass the name on, entries below can override it, the component is exclusive', async () => {
  const { owners, components, warnings } = await load(xattr, {
    '/app': folder('app'),
    '/app/x': '',
    '/app/deep/x': '',
    '/app/deep/own': named('own'),
    '/app/link': { target: 'x' },
    '/app-other': '',
    '/other': '',
  });
  assert.deepEqual(Object.values(owners), [
    'component:app',
    'component:app',
    'component:app',
    'component:own',
    'component:app',
    undefined,
    undefined,
  ]);
  assert.deepEqual([...components.keys()].sort(), ['component:app', 'component:own']);
  assert.deepEqual(components.get('component:app'), {
    name: 'app',
    source: 'component:app',
    packages: [],
    exclusive: true,
  });
  assert.deepEqual(warnings, []);
});

test('xattr: a name on the root holds for every file', async () => {
  const { owners } = await load(xattr, { '/': folder('all'), '/x': '', '/a/b/c': '' });
  assert.deepEqual(Object.values(owners), ['component:all', 'component:all', 'component:all']);
});

test('xattr: intervals are days or names, the shortest counts, and none is inherited', async () => {
  const { components, warnings } = await load(xattr, {
    '/a': folder('app', 'monthly'),
    '/a/sub': folder('sub'),
    '/b': named('app', '3'),
    '/c': named('yearly', 'yearly'),
    '/d': { xattrs: { 'user.update-interval': 'daily' } },
  });
  const interval = (name: string) => components.get(`component:${name}`)?.updateInterval;
  assert.deepEqual([interval('app'), interval('sub'), interval('yearly')], [3, undefined, 365]);
  assert.deepEqual(warnings, []);
});

test('xattr: a NUL at the end is removed; invalid names and intervals are ignored with a warning', async () => {
  const { owners, components, warnings } = await load(xattr, {
    '/app': folder('app\0'),
    '/app/comma': named('a,b'),
    '/app/empty': named(''),
    '/app/control': named('a\nb'),
    '/app/binary': named(Uint8Array.of(0xff)),
    '/app/long': named('x'.repeat(256)),
    '/zero': named('zero', '0'),
    '/never': named('never', 'never'),
    '/object': named('object', 'constructor'),
  });
  assert.equal(owners['/app'], 'component:app');
  for (const name of ['comma', 'empty', 'control', 'binary', 'long'] as const) {
    assert.equal(owners[`/app/${name}`], 'component:app', name);
    assert.ok(
      warnings.some((warning) => warning.startsWith(`/app/${name}: user.component`)),
      name,
    );
  }
  for (const name of ['zero', 'never', 'object']) {
    assert.equal(components.get(`component:${name}`)?.updateInterval, undefined, name);
    assert.ok(
      warnings.some((warning) => warning.startsWith(`/${name}: user.update-interval`)),
      name,
    );
  }
  assert.equal(warnings.length, 8);
});

const mapped = (paths: object, components?: object) =>
  mapping(JSON.stringify({ version: 1, paths, components }));

test('mapping: the longest path wins, paths are those of the running system, symlinks are followed', async () => {
  const source = mapped({
    '/usr/lib': 'libraries',
    '/lib/modules/6.1': 'kernel',
    '/etc': 'settings',
    '/etc/app': 'app',
    '/usr/bin/x': 'constructor',
    '/gone': 'gone',
  });
  const { owners, components, warnings, detected } = await load(source, {
    '/lib': { target: 'usr/lib' },
    '/usr/lib/a': '',
    '/usr/lib64/a': '',
    '/usr/lib/modules/6.1': { directory: true },
    '/usr/lib/modules/6.1/vmlinuz': '',
    '/usr/etc': { directory: true },
    '/usr/etc/hosts': '',
    '/usr/etc/app/a': '',
    '/usr/bin/x': '',
  });
  assert.deepEqual(owners, {
    '/lib': undefined,
    '/usr/lib/a': 'mapping:libraries',
    '/usr/lib64/a': undefined,
    '/usr/lib/modules/6.1': 'mapping:kernel',
    '/usr/lib/modules/6.1/vmlinuz': 'mapping:kernel',
    '/usr/etc': 'mapping:settings',
    '/usr/etc/hosts': 'mapping:settings',
    '/usr/etc/app/a': 'mapping:app',
    '/usr/bin/x': 'mapping:constructor',
  });
  assert.equal(detected, true);
  assert.deepEqual(components.get('mapping:constructor'), {
    name: 'constructor',
    source: 'mapping:constructor',
    packages: [],
  });
  assert.deepEqual(warnings, ['mapping: paths that are not in the tree: 1, the first is /gone']);
});

test('mapping: declarations become facts, and an entry for the root holds for every file', async () => {
  const declared = {
    mesa: { updateInterval: 14, source: 'graphics', exclusive: true },
    unused: {},
  };
  const { owners, components } = await load(mapped({ '/': 'mesa' }, declared), {
    '/x': '',
    '/a/b/c': '',
  });
  assert.deepEqual(Object.values(owners), ['mapping:mesa', 'mapping:mesa']);
  assert.deepEqual(
    [...components],
    [
      [
        'mapping:mesa',
        { name: 'mesa', source: 'graphics', packages: [], updateInterval: 14, exclusive: true },
      ],
    ],
  );
  assert.equal((await load(mapped({}), { '/x': '' })).detected, false);
});

test('mapping: an invalid file is refused with the name of the wrong member', () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => mapping(text), { code: 'CORRUPT', message });
  refused('{', /^not JSON: /);
  refused('{"version": 2, "paths": {}}', /^version: /);
  for (const path of ['usr/x', '/usr/../x', '/usr/./x', '/usr//x', '/usr/', '/..', '/a\0b', '']) {
    refused(JSON.stringify({ version: 1, paths: { [path]: 'x' } }), /expected an absolute path/);
  }
  for (const name of ['', 'a,b', 'a\nb', 'x'.repeat(256)]) {
    refused(JSON.stringify({ version: 1, paths: { '/x': name } }), /^paths\.\/x: expected a name/);
  }
  refused('{"version":1,"paths":{"/x":"x"},"components":{"x":{"interval":3}}}', /^components\.x/);
  refused(
    '{"version":1,"paths":{"/x":"x"},"components":{"x":{"updateInterval":-1}}}',
    /^components\.x\.updateInterval/,
  );
});
