/** What `npm pack` puts into the package. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../src/bytes/json.js';
import { repoRoot } from './support/root.js';
import { run } from './support/run.js';

const packSchema = v.tuple([v.object({ files: v.array(v.object({ path: v.string() })) })]);

/** npm writes a cache and logs into the home of the user, unless it is told another place. */
function packedFiles(): readonly string[] {
  const args = [
    'pack',
    '--dry-run',
    '--json',
    '--ignore-scripts',
    '--offline',
    '--no-update-notifier',
  ];
  const output = run('npm', args, { cwd: repoRoot, env: { npm_config_logs_max: '0' } });
  const [{ files }] = parseJson(output, packSchema);
  return files.map(({ path }) => path);
}

test('the package has the program, its types and its texts, and no source maps', () => {
  const files = packedFiles();
  for (const name of ['dist/src/cli/main.js', 'dist/src/plugin.d.ts', 'README.md', 'LICENSE']) {
    assert.ok(files.includes(name), name);
  }
  assert.deepEqual(
    files.filter((name) => /\.map$|^(src|test|dist\/test)\//.test(name)),
    [],
  );
});

test('the package can be found by what it is about', () => {
  const schema = v.object({ keywords: v.array(v.string()), description: v.string() });
  const { keywords } = parseJson(readFileSync(join(repoRoot, 'package.json'), 'utf8'), schema);
  for (const word of ['ostree', 'oci', 'rpm']) {
    assert.ok(keywords.includes(word), word);
  }
});
