// Temporary directories are removed in every case, if need be by another process.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import {
  makeTemporaryDirectory,
  withTemporaryDirectory,
} from '../../src/system/temporary-directory.js';
import { tryRun } from '../support/run.js';
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

test('the directory may be removed twice', () => {
  const directory = makeTemporaryDirectory('ostrata-test-', scratchDirectory());
  directory.remove();
  directory.remove();
  assert.ok(!existsSync(directory.path));
});

/** Runs `code` in another process, after it has made a directory whose path is `path`. */
function runWithDirectory(parent: string, code: string): void {
  const module = new URL('../../src/system/temporary-directory.js', import.meta.url).href;
  const script =
    `import { writeFileSync } from 'node:fs';` +
    `import { makeTemporaryDirectory } from ${JSON.stringify(module)};` +
    `const { path } = makeTemporaryDirectory('ostrata-', ${JSON.stringify(parent)});` +
    `writeFileSync(path + '/file', '');${code}`;
  tryRun(process.execPath, ['--input-type=module', '-e', script]);
}

test('an exiting process removes its directories', () => {
  const scratch = scratchDirectory();
  runWithDirectory(scratch, 'process.exit(0);');
  assert.deepEqual(readdirSync(scratch), []);
});

test('a directory of a process that was killed is removed by the next one', () => {
  const scratch = scratchDirectory();
  runWithDirectory(scratch, `process.kill(process.pid, 'SIGKILL');`);
  assert.equal(readdirSync(scratch).length, 1);
  const directory = makeTemporaryDirectory('.ostrata-', scratch);
  assert.deepEqual(readdirSync(scratch), [basename(directory.path)]);
  directory.remove();
});

test('directories of running processes and of the user stay', () => {
  const scratch = scratchDirectory();
  const first = makeTemporaryDirectory('ostrata-', scratch);
  mkdirSync(join(scratch, 'ostrata-images'), { mode: 0o700 });
  utimesSync(join(scratch, 'ostrata-images'), 1000, 1000);
  runWithDirectory(scratch, '');
  const second = makeTemporaryDirectory('ostrata-', scratch);
  const kept = [first.path, second.path, 'ostrata-images'].map((path) => basename(path));
  assert.deepEqual(readdirSync(scratch).sort(), kept.sort());
  first.remove();
  second.remove();
});
