// Temporary directories are removed in every case.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  makeTemporaryDirectory,
  withTemporaryDirectory,
} from '../../src/system/temporary-directory.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

test('the directory is private and is removed when the body ends', async () => {
  const used = await withTemporaryDirectory('ostrata-test-', async (path) => {
    assert.equal(statSync(path).mode & 0o777, 0o700);
    writeFileSync(join(path, 'file'), '');
    return path;
  });
  assert.ok(!existsSync(used));
});

test('the directory is removed when the body fails', async () => {
  let used = '';
  const failing = withTemporaryDirectory('ostrata-test-', async (path) => {
    used = path;
    throw new Error('enough');
  });
  await assert.rejects(failing, /enough/);
  assert.notEqual(used, '');
  assert.ok(!existsSync(used));
});

test('the directory may be removed twice', async () => {
  const directory = await makeTemporaryDirectory('ostrata-test-', scratchDirectory());
  await directory.remove();
  await directory.remove();
  assert.ok(!existsSync(directory.path));
});

test('an exiting process removes its directories', () => {
  const scratch = scratchDirectory();
  const module = new URL('../../src/system/temporary-directory.js', import.meta.url).href;
  const script =
    `import { makeTemporaryDirectory } from ${JSON.stringify(module)};` +
    `await makeTemporaryDirectory('a-', ${JSON.stringify(scratch)});` +
    'process.exit(0);';
  run(process.execPath, ['--input-type=module', '-e', script]);
  assert.deepEqual(readdirSync(scratch), []);
});
