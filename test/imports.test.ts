/** Imports go one way: a file imports only from the parts that precede its own in this list. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from './support/root.js';

const ORDER: readonly (readonly string[])[] = [
  ['src/errors', 'src/log'],
  ['src/bytes'],
  ['src/system'],
  ['src/tar', 'src/tar-diff', 'src/oci', 'src/ostree'],
  ['src/transports'],
  ['src/selinux'],
  ['src/tree'],
  ['src/plugin'],
  ['src/components'],
  ['src/layout'],
  ['src/layers'],
  ['src/blobs'],
  ['src/image'],
  ['src/delta'],
  ['src/builder', 'src/client'],
  ['src/index'],
  ['src/cli'],
];
/**
 * `ostrata/rpmdb`, a library that reads RPM databases; the plugin `rpm` uses it as any other
 * program could.
 */
const RPMDB = 'plugins/rpm/rpmdb/';
/**
 * What that library may use: bytes, errors, and trees to read a database from. Nothing above them.
 */
const FOR_RPMDB = ['src/bytes', 'src/errors', 'src/tree'];

interface Import {
  readonly from: string;
  readonly to: string;
}

/** All source files, relative to the repository. */
const sources = ['src', 'plugins'].flatMap((folder) =>
  readdirSync(join(repoRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
);
const text = (file: string) => readFileSync(join(repoRoot, file), 'utf8');
const imports: readonly Import[] = sources.flatMap((from) =>
  [...text(from).matchAll(/(?:from|import\(|import) ?'(\.[^']+)\.js'/g)].map(([, to = '']) => ({
    from,
    to: `${normalize(join(dirname(from), to))}.ts`,
  })),
);

/**
 * The part of the program a file belongs to: `src/oci` for `src/oci/json.ts`, `src/errors` for
 * `src/errors.ts`.
 */
const part = (file: string) => file.split('/').slice(0, 2).join('/').replace(/\.ts$/, '');

const shown = ({ from, to }: Import) => `${from} -> ${to}`;
const violations = (isViolation: (edge: Import) => boolean) =>
  imports.filter(isViolation).map(shown);

test('every import names an existing file', () => {
  assert.ok(imports.length > 100, `${imports.length} imports`);
  assert.deepEqual(
    violations(({ to }) => !sources.includes(to)),
    [],
  );
});

test('every part of src has a place in the order', () => {
  const parts = new Set(sources.filter((file) => file.startsWith('src/')).map(part));
  assert.deepEqual([...parts].sort(), ORDER.flat().sort());
});

test('imports in src go one way', () => {
  const level = (file: string) => ORDER.findIndex((names) => names.includes(part(file)));
  assert.deepEqual(
    violations(
      ({ from, to }) =>
        from.startsWith('src/') &&
        to.startsWith('src/') &&
        part(from) !== part(to) &&
        level(to) >= level(from),
    ),
    [],
  );
});

/**
 * The built-in plugins, which show that third parties can write the same. The list of them is for
 * the program.
 */
const isPlugin = (file: string) =>
  file.startsWith('plugins/') && file !== 'plugins/index.ts' && !file.startsWith(RPMDB);

test('a built-in plugin imports only the plugin interface, its own folder and ostrata/rpmdb', () => {
  const isAllowed = ({ from, to }: Import) =>
    to === 'src/plugin.ts' ||
    (to.startsWith(RPMDB) ? to === `${RPMDB}index.ts` : part(from) === part(to));
  assert.deepEqual(
    violations((edge) => isPlugin(edge.from) && !isAllowed(edge)),
    [],
  );
});

test('ostrata/rpmdb imports only its own folder, bytes, errors and trees', () => {
  const isAllowed = ({ to }: Import) => to.startsWith(RPMDB) || FOR_RPMDB.includes(part(to));
  assert.deepEqual(
    violations((edge) => edge.from.startsWith(RPMDB) && !isAllowed(edge)),
    [],
  );
});

test('only the command line knows the built-in plugins', () => {
  assert.deepEqual(
    violations(
      ({ from, to }) =>
        from.startsWith('src/') && !from.startsWith('src/cli/') && to.startsWith('plugins/'),
    ),
    [],
  );
});

test('only the command line prints or ends the process', () => {
  const printing = /\bconsole\.|process\.(stdout|stderr|exit)\b/;
  assert.deepEqual(
    sources.filter((file) => !file.startsWith('src/cli/') && printing.test(text(file))),
    [],
  );
});

const STATIC_IMPORT = /^(?:import|export) (?!type)[^;]*?'(\.[^']+)\.js';/gm;

/** Returns the files that are loaded with `file`: what is imported when it is needed is not. */
function loadedWith(file: string): ReadonlySet<string> {
  const loaded = new Set([file]);
  for (const from of loaded) {
    for (const [, to = ''] of text(from).matchAll(STATIC_IMPORT)) {
      loaded.add(`${normalize(join(dirname(from), to))}.ts`);
    }
  }
  return loaded;
}

/** Large parts of the program that not every build needs. */
const LOADED_WHEN_NEEDED = [
  'plugins/rpm/rpmdb/index.ts',
  'src/delta/create.ts',
  'src/selinux/policy.ts',
  'src/transports/oci/archive.ts',
  'src/transports/registry/client.ts',
];

for (const file of ['build/build', 'container/encapsulate', 'chunkah', 'rpm-ostree']) {
  test(`cli/${file} loads large parts of the program only when it needs them`, () => {
    const loaded = loadedWith(`src/cli/${file}.ts`);
    assert.ok(loaded.has('src/layout/plan.ts'), 'imports are followed');
    assert.deepEqual(
      LOADED_WHEN_NEEDED.filter((name) => loaded.has(name)),
      [],
    );
  });
}
