/** Imports go one way (see README, How it works): a file imports only what stands before its own place in this list. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from './support/root.js';

const ORDER: readonly (readonly string[])[] = [
  ['src/errors', 'src/log'],
  ['src/bytes'],
  ['src/system'],
  ['src/tar', 'src/oci', 'src/ostree'],
  ['src/transports'],
  ['src/tree'],
  ['src/plugin'],
  ['src/components'],
  ['src/layout'],
  ['src/layers'],
  ['src/blobs'],
  ['src/image'],
  ['src/builder', 'src/client'],
  ['src/index'],
  ['src/cli'],
];
/** What plugins may use besides their own folder. */
const FOR_PLUGINS = [
  'src/plugin',
  'src/bytes',
  'src/errors',
  'src/log',
  'src/tree',
  'src/tar',
  'src/oci',
  'src/ostree',
];

interface Import {
  readonly from: string;
  readonly to: string;
}

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

/** The part of the program a file belongs to: `src/oci` for `src/oci/json.ts`, `src/errors` for `src/errors.ts`. */
const part = (file: string) => file.split('/').slice(0, 2).join('/').replace(/\.ts$/, '');

const shown = ({ from, to }: Import) => `${from} -> ${to}`;
const violations = (isViolation: (edge: Import) => boolean) =>
  imports.filter(isViolation).map(shown);

test('every import names a file that there is', () => {
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

test('plugins use the seam and formats only', () => {
  const isOwn = ({ from, to }: Import) => part(from) === part(to) && from !== 'plugins/index.ts';
  assert.deepEqual(
    violations(
      (edge) =>
        edge.from.startsWith('plugins/') &&
        edge.from !== 'plugins/index.ts' &&
        !isOwn(edge) &&
        !FOR_PLUGINS.includes(part(edge.to)),
    ),
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
