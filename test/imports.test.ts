/** Imports go one way (see README, How it works): a file imports only what stands before its own place in this list. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from './root.js';

const ORDER: readonly (readonly string[])[] = [
  ['src/errors', 'src/log', 'src/bytes', 'src/program'],
  ['src/tar', 'src/oci', 'src/ostree'],
  ['src/tree'],
  ['src/plugin'],
  ['src/components'],
  ['src/layout'],
  ['src/layers'],
  ['src/image'],
  ['src/transports'],
  ['pipelines'],
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

/** `src/oci` of `src/oci/json.ts`, `src/errors` of `src/errors.ts`; other files directly in src are pipelines. */
function part(file: string): string {
  const name = file.split('/').slice(0, 2).join('/').replace(/\.ts$/, '');
  const isKnown = ORDER.some((names) => names.includes(name)) || !file.startsWith('src/');
  return isKnown ? name : 'pipelines';
}

const shown = ({ from, to }: Import) => `${from} -> ${to}`;
const violations = (isViolation: (edge: Import) => boolean) => imports.filter(isViolation).map(shown);

test('every import names a file that there is', () => {
  assert.ok(imports.length > 100, `${imports.length} imports`);
  assert.deepEqual(
    violations(({ to }) => !sources.includes(to)),
    [],
  );
});

test('imports in src go one way', () => {
  const level = (file: string) => ORDER.findIndex((names) => names.includes(part(file)));
  const isBackward = ({ from, to }: Import) =>
    from.startsWith('src/') && to.startsWith('src/') && part(from) !== part(to) && level(to) >= level(from);
  // The bottom and the pipelines are each several files at one level that may use each other.
  const isWithin = ({ from, to }: Import) => level(from) === level(to) && [0, ORDER.length - 2].includes(level(from));
  assert.deepEqual(
    violations((edge) => isBackward(edge) && !isWithin(edge)),
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
    violations(({ from, to }) => from.startsWith('src/') && !from.startsWith('src/cli/') && to.startsWith('plugins/')),
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
