// node .ci/test.mjs [PART...]: runs the compiled tests whose path contains one of PART (all without). The files are
// found here because `node --test` reads patterns differently in Node 20 and 22. Exit codes: 0 all passed,
// 1 a test failed, none ran, or the suite changed the checkout. Skipped tests are named at the end; in CI a missing
// program fails (test/tools.ts).
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/** Above the slowest end-to-end test on a loaded machine with two cores. */
const TIMEOUT_MS = 15 * 60 * 1000;
/** End-to-end tests write much to the disk: more at a time is slower. */
const CONCURRENCY = 2;

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(checkout, 'dist/test');
const parts = process.argv.slice(2);
const files = readdirSync(root, { recursive: true })
  .filter(
    (name) =>
      name.endsWith('.test.js') &&
      (parts.length === 0 || parts.some((part) => name.includes(part))),
  )
  .sort()
  .map((name) => join(root, name));

/**
 * Every tracked file that differs from the last commit and every untracked one, with its size and time of change.
 * Undefined where git is missing or this is no checkout (an unpacked release).
 */
function changedFiles() {
  const options = { cwd: checkout, encoding: 'utf8', maxBuffer: 2 ** 26 };
  const git = spawnSync(
    'git',
    ['status', '--porcelain', '-z', '--no-renames', '--untracked-files=all'],
    options,
  );
  if (git.status !== 0) {
    return undefined;
  }
  const lines = git.stdout.split('\0').filter(Boolean);
  return lines.map((line) => {
    const stats = statSync(join(checkout, line.slice(3)), { throwIfNoEntry: false });
    return stats ? `${line} (${stats.size} bytes, ${stats.mtime.toISOString()})` : line;
  });
}

/** Tests leave the checkout as they found it: names each file that was changed, added or removed meanwhile. */
function checkCheckout() {
  const after = changedFiles();
  if (before === undefined || after === undefined) {
    console.error('test: not a git checkout: whether the tests changed it is not checked');
    return;
  }
  const changes = after.filter((line) => !before.includes(line));
  for (const line of changes) {
    console.error(`test: the suite changed the checkout: ${line}`);
  }
  if (changes.length > 0) {
    process.exitCode = 1;
  }
}

const before = changedFiles();
let passed = 0;
let failed = 0;
const skipped = [];
const events = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
// A file and a suite are reported like a test; they are none.
const isTest = ({ name, file, details }) => details.type !== 'suite' && name !== file;
events.on('test:pass', (event) => {
  if (event.skip !== undefined) {
    skipped.push(`${relative(root, event.file ?? '')}: ${event.name}: ${event.skip}`);
  } else if (isTest(event)) {
    passed++;
  }
});
events.on('test:fail', (event) => {
  process.exitCode = 1;
  if (isTest(event)) {
    failed++;
  }
});
events.compose(new spec()).pipe(process.stdout);

process.on('exit', () => {
  checkCheckout();
  for (const line of skipped) {
    console.error(`SKIPPED ${line}`);
  }
  console.error(
    `${files.length} files: ${passed} tests passed, ${failed} failed, ${skipped.length} skipped`,
  );
  if (passed + failed > 0) {
    return;
  }
  console.error('test: no test ran');
  process.exitCode = 1;
});
