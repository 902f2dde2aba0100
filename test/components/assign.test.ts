/** Which component gets a content object, by the claims on its paths. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignComponents, SHARED_COMPONENT } from '../../src/components/assign.js';
import type { Claims, ComponentFacts, FileEntry } from '../../src/plugin.js';
import type { Tree, TreePath } from '../../src/tree/tree.js';
import { buildTree, type EntrySpec } from '../support/build-tree.js';

/**
 * Claims by path: `owner` names the component, which is made up from its id (`exclusive...`, or
 * `SOURCE:NAME`).
 */
function claims(
  owner: (path: string) => string | undefined,
  ids: readonly string[],
  weak = false,
): Claims {
  const components = new Map(ids.map((id): [string, ComponentFacts] => [id, factsOf(id)]));
  const named = ({ path }: FileEntry) => owner(path) ?? [];
  if (weak) {
    return { components, strong: () => [], weak: async (entry) => [named(entry)].flat() };
  }
  return { components, strong: (entry) => [named(entry)].flat() };
}

function factsOf(id: string): ComponentFacts {
  const source = id.includes(':') ? (id.split(':')[0] as string) : id;
  return { name: id, source, packages: [], ...(id.startsWith('exclusive') && { exclusive: true }) };
}

/** `/a/...` belongs to component `a`. */
const byTop = (path: string) => path.split('/')[1];
const tops = (tree: Tree) => [...new Set([...tree.files].map(({ path }) => byTop(path) ?? ''))];
const assign = (specs: Record<TreePath, EntrySpec>) => {
  const tree = buildTree(specs);
  return assignComponents(tree, [claims(byTop, tops(tree))]);
};

/** Paths by component. */
const places = (components: Awaited<ReturnType<typeof assignComponents>>) =>
  Object.fromEntries(
    components.map(({ id, objects }) => [
      id,
      [...objects.values()]
        .flat()
        .map(({ path }) => path)
        .sort(),
    ]),
  );

test('the first source that claims a path owns it, strongly or weakly; directories are skipped', async () => {
  const tree = buildTree({ '/one': '1', '/three/x': '3', '/two': '2' });
  const components = await assignComponents(tree, [
    claims((path) => (path === '/one' ? 'first' : undefined), ['first']),
    claims((path) => (path !== '/three/x' ? 'second' : undefined), ['second'], true),
    claims(() => 'third', ['third']),
  ]);
  assert.deepEqual(places(components), { first: ['/one'], second: ['/two'], third: ['/three/x'] });
});

test('an object is in one component with all its paths; unrelated owners share it if it is small', async () => {
  const large = 'x'.repeat(1 << 17);
  const components = await assign({
    '/a/empty': '',
    '/b/empty': '',
    '/a/large': large,
    '/b/large': large,
    '/a/own': 'a',
    '/b/own': 'b',
    '/b/own2': 'b',
    '/a/link': { target: 'x' },
    '/b/link': { target: 'x' },
    '/exclusive/empty2': 'only here',
    '/b/empty2': 'only here',
  });
  assert.deepEqual(places(components), {
    a: ['/a/large', '/a/own', '/b/large'],
    b: ['/b/own', '/b/own2'],
    exclusive: ['/b/empty2', '/exclusive/empty2'],
    [SHARED_COMPONENT]: ['/a/empty', '/a/link', '/b/empty', '/b/link'],
  });
  assert.deepEqual(
    components.map(({ id, size }) => [id, size]),
    [
      ['a', large.length + 1],
      ['b', 1],
      ['exclusive', 9],
      ['shared', 0],
    ],
  );
});

test('if all owners have one source, the first by id keeps the object', async () => {
  assert.deepEqual(places(await assign({ '/glibc:b/x': 'same', '/glibc:a/x': 'same' })), {
    'glibc:a': ['/glibc:a/x', '/glibc:b/x'],
  });
});

test('an object stays in its component when other content comes and goes', async () => {
  const name = fc.constantFrom<TreePath>(
    '/a/x',
    '/a/y',
    '/b/x',
    '/b/y',
    '/c/x',
    '/exclusive/x',
    '/s:1/x',
    '/s:2/x',
  );
  const tree = fc.dictionary(name, fc.constantFrom('', '1', '2'), { minKeys: 1 });
  await fc.assert(
    fc.asyncProperty(tree, tree, async (one, other) => {
      const owners = async (specs: Record<string, string>) => {
        const paths = new Map<string, string>();
        for (const { id, objects } of await assign(specs as Record<TreePath, EntrySpec>)) {
          for (const [checksum, entries] of objects) {
            paths.set(`${checksum} ${entries.map(({ path }) => path)}`, id);
          }
        }
        return paths;
      };
      const before = await owners(one);
      for (const [object, id] of await owners({ ...other, ...one })) {
        if (before.has(object)) {
          assert.equal(id, before.get(object));
        }
      }
    }),
  );
});

test('versions are equal if and only if paths and objects are', async () => {
  const version = async (specs: Record<TreePath, EntrySpec>) => (await assign(specs))[0]?.version;
  const same = await version({ '/a/x': '1', '/a/y': '2' });
  assert.equal(await version({ '/a/y': '2', '/a/x': '1' }), same);
  const others: Record<TreePath, EntrySpec>[] = [
    { '/a/x': '2', '/a/y': '1' },
    { '/a/x': '1' },
    { '/a/x': '1', '/a/z': '2' },
    { '/a/x': '1', '/a/y': { content: '2', xattrs: { 'user.x': '' } } },
  ];
  for (const specs of others) {
    assert.notEqual(await version(specs), same);
  }
});

test('errors name a claim without facts and a path that nobody claims', async () => {
  const tree = buildTree({ '/a/x': '' });
  const refused = (message: RegExp) => ({ code: 'PLUGIN', message });
  await assert.rejects(
    assignComponents(tree, [claims(() => 'ghost', [])]),
    refused(/\/a\/x is claimed for unknown component ghost/),
  );
  await assert.rejects(
    assignComponents(tree, [claims(() => undefined, [])]),
    refused(/no content source claims \/a\/x/),
  );
});

test('a part holds whole objects: one with paths in several parts stays above them', async () => {
  const [whole] = await assign({
    '/a/x/1': 'one',
    '/a/x/2': 'both',
    '/a/y/2': 'both',
    '/a/z': 'three',
  });
  assert.ok(whole?.divisible !== undefined);
  const pieces = whole.divisible.pieces();
  const directories = pieces.map(({ directory }) => directory);
  assert.deepEqual(directories.toSorted(), ['a', 'a', 'a/x']);

  const above = directories.flatMap((directory, i) => (directory === 'a' ? [i] : []));
  const part = whole.divisible.part('a#', above);
  assert.deepEqual(places([part]), { 'a#': ['/a/x/2', '/a/y/2', '/a/z'] });
  assert.equal(part.size, 'both'.length + 'three'.length);
  assert.equal(part.partOf, 'a');

  const unchanged = whole.divisible.part('a#a/x', [directories.indexOf('a/x')]);
  const [later] = await assign({ '/a/x/1': 'one', '/a/y/2': 'new', '/a/z': 'three' });
  const place = later?.divisible?.pieces().findIndex(({ directory }) => directory === 'a/x');
  assert.equal(later?.divisible?.part('a#a/x', [place ?? -1]).version, unchanged.version);
  assert.notEqual(later?.version, whole.version);
});

test('a component has the same version in a commit, in its image and in a root directory', async () => {
  const versionIn = async (etc: '/etc' | '/usr/etc') => {
    const tree = buildTree({ [`${etc}/ssh/config`]: 'same', '/usr/bin/config': 'same' });
    const [component] = await assignComponents(tree, [claims(() => 'ssh', ['ssh'])]);
    return component?.version;
  };
  assert.equal(await versionIn('/etc'), await versionIn('/usr/etc'));
});
