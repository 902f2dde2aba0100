/** Modules given with `--plugin`, from any folder, and what is said of those that do not load. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../support/root.js';
import { ostrataProgram, type RunResult, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const REPO = join(repoRoot, 'rpmdb-fixtures/sample/new');

/** A folder that has nothing to do with the package, and the program as `npm link` installs it. */
const folder = scratchDirectory();
const linked = join(folder, 'ostrata');
symlinkSync(ostrataProgram, linked);

function planWith(plugin: string, ...options: readonly string[]): RunResult {
  const args = ['layout', 'plan', `--repo=${REPO}`, `--plugin=${plugin}`, '--max-layers=4'];
  return tryRun(process.execPath, [linked, ...args, ...options, 'sample/os'], { cwd: folder });
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const PLAIN_PLUGIN = `{
  name: 'plain',
  apiVersion: '^1.0',
  layoutStrategies: [
    {
      name: 'one-layer',
      description: 'one layer',
      plan: (components) => ({ layers: [{ components: components.map(({ id }) => id).sort() }] }),
    },
  ],
}`;

test('the plugin of the documentation works outside the package', () => {
  const markdown = readFileSync(join(repoRoot, 'src/PLUGINS.md'), 'utf8');
  const [, text = ''] = /```js\n(.*?)```/s.exec(markdown) ?? [];
  assert.match(text, /from 'ostrata\/plugin'/);

  const { status, stdout, stderr } = planWith(write('my-plugin.mjs', text), '--layout=by-rate');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /3 layers for /);
});

test('a plain object is a plugin', () => {
  const plugin = write('plain.mjs', `export default ${PLAIN_PLUGIN};\n`);
  const { stdout, stderr } = planWith(plugin, '--layout=one-layer');
  assert.match(stdout, /1 layer for /, stderr);
});

test('a plugin is found in a package that is installed for the working directory', () => {
  const home = join(folder, 'node_modules/ostrata-plain');
  mkdirSync(home, { recursive: true });
  const manifest = { name: 'ostrata-plain', type: 'module', exports: './index.js' };
  writeFileSync(join(home, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(home, 'index.js'), `export default ${PLAIN_PLUGIN};\n`);
  const { stdout, stderr } = planWith('ostrata-plain', '--layout=one-layer');
  assert.match(stdout, /1 layer for /, stderr);
});

test('errors of a module name its file and line', () => {
  const cases: readonly (readonly [name: string, text: string, line: number])[] = [
    ['syntax.mjs', "export default {\n  name: 'x'\n  apiVersion: '^1.0',\n};\n", 3],
    ['syntax.cjs', "module.exports = {\n  name: 'x' 'y' };\n", 2],
    ['thrown.mjs', "\nthrow new Error('boom');\n", 2],
    ['export.mjs', "import { nothing } from 'ostrata/plugin';\nexport default nothing;\n", 1],
  ];
  for (const [name, text, line] of cases) {
    const { status, stderr } = planWith(write(name, text));
    assert.equal(status, 1);
    const beginning = `error: plugin ${name}: loading the module: ${join(folder, name)}:${line}: `;
    assert.equal(stderr.slice(0, beginning.length), beginning, stderr);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  }
});

test('a missing file, a missing package and a plugin for another API are told apart', () => {
  assert.match(planWith('missing.mjs').stderr, /plugin missing\.mjs: there is no such file\n$/);
  assert.match(planWith('missing').stderr, /plugin missing: .* Cannot find package 'missing'/);
  const plugin = write('future.mjs', "export default { name: 'future', apiVersion: '^9.0' };\n");
  assert.match(
    planWith(plugin).stderr,
    /plugin future was written for API \^9\.0, this is API 1\./,
  );
});
