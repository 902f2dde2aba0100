// node .ci/test.mjs [PART...]: runs the compiled tests whose path contains one of PART (all without). The files are
// found here because `node --test` reads patterns differently in Node 20 and 22. Exit codes: 0 all passed,
// 1 a test failed, none ran, or, in CI, one was skipped.
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/** Above the slowest end-to-end test on a loaded machine with two cores. */
const TIMEOUT_MS = 15 * 60 * 1000;
/** End-to-end tests write much to the disk: more at a time is slower. */
const CONCURRENCY = 2;

const root = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/test');
const parts = process.argv.slice(2);
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.test.js') && (parts.length === 0 || parts.some((part) => name.includes(part))))
  .sort()
  .map((name) => join(root, name));

let ran = 0;
let failed = 0;
const skipped = [];
const events = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
const count = ({ name, file, skip, details }, passed) => {
  // A file and a suite are reported like a test; only what has no tests below it counts.
  if (details.type === 'suite' || name === file) {
    if (!passed) failed++;
  } else if (skip !== undefined) skipped.push(`${relative(root, file ?? '')}: ${name}: ${skip}`);
  else {
    ran++;
    if (!passed) failed++;
  }
};
events.on('test:pass', (event) => count(event, true));
events.on('test:fail', (event) => count(event, false));
events.compose(new spec()).pipe(process.stdout);

process.on('exit', () => {
  for (const line of skipped) console.error(`SKIPPED ${line}`);
  console.error(`${files.length} files: ${ran} tests ran, ${failed} failed, ${skipped.length} skipped`);
  if (ran === 0) console.error('no test ran: that is a failure');
  const skippedInCi = process.env.CI === 'true' && skipped.length > 0;
  if (skippedInCi) console.error('in CI a skipped test is a failure');
  if (failed > 0 || ran === 0 || skippedInCi) process.exitCode = 1;
});
