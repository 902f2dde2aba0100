// node .ci/test.mjs [--unit] [--slowest] [PART...]
// Runs the compiled tests whose path contains one of PART, or all of them.
//   --unit     leaves out test/e2e and every test that needs another program or root
//   --slowest  names the ten slowest test files at the end
// Exit codes: 0 all passed, 1 a test failed, none ran, or the suite changed the checkout.
// Skipped tests are named at the end; in CI a missing program fails (test/support/tools.ts).
// The files are found here because `node --test` reads patterns differently in Node 20 and 22.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/** Longer than the slowest end-to-end test takes on a loaded machine with two cores. */
const TIMEOUT_MS = 15 * 60 * 1000;
/** End-to-end tests write so much to the disk that more at the same time are slower. */
const CONCURRENCY = 2;

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(checkout, 'dist/test');
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const isUnit = options.includes('--unit');

const isWanted = (name) => parts.length === 0 || parts.some((part) => name.includes(part));
const isLeftOut = (name) => isUnit && name.startsWith('e2e/');
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && isWanted(name) && !isLeftOut(name))
  .sort()
  .map((name) => join(root, name));

/**
 * Returns every untracked file and every file that differs from the last commit, with its size and
 * time of change; undefined without git or outside a checkout (an unpacked release).
 */
function changedFiles() {
  const git = spawnSync(
    'git',
    ['status', '--porcelain', '-z', '--no-renames', '--untracked-files=all'],
    { cwd: checkout, encoding: 'utf8', maxBuffer: 2 ** 26 },
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

/**
 * Names each file that the tests changed, added or removed: they must leave the checkout as it was.
 */
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

if (isUnit) {
  // Read by `needs` of test/support/tools.ts in each test process.
  process.env.OSTRATA_TEST_TOOLS = 'none';
}

const before = changedFiles();
let passed = 0;
let failed = 0;
const skipped = [];
const millisecondsOf = new Map();
const events = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
// Files and suites are reported like tests, but are not counted.
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
for (const type of ['test:pass', 'test:fail']) {
  events.on(type, ({ name, file, nesting, details }) => {
    if (nesting === 0 && file !== undefined) {
      const key = name === file ? name : file;
      millisecondsOf.set(key, (millisecondsOf.get(key) ?? 0) + details.duration_ms);
    }
  });
}
events.compose(new spec()).pipe(process.stdout);

function reportSlowest() {
  const slowest = [...millisecondsOf].sort(([, a], [, b]) => b - a).slice(0, 10);
  for (const [file, milliseconds] of slowest) {
    console.error(`${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${relative(root, file)}`);
  }
}

process.on('exit', () => {
  checkCheckout();
  if (!isUnit) {
    for (const line of skipped) {
      console.error(`SKIPPED ${line}`);
    }
  }
  if (options.includes('--slowest')) {
    reportSlowest();
  }
  console.error(
    `${files.length} files: ${passed} tests passed, ${failed} failed, ${skipped.length} skipped`,
  );
  if (passed + failed === 0) {
    console.error('test: no test ran');
    process.exitCode = 1;
  }
});
