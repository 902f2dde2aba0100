// node never-ends.js [DIRECTORY [computing]]
// A command that makes a temporary directory in DIRECTORY, says `ready`, and goes on when its
// signal fires; with `computing` in one long loop. Without DIRECTORY it has nothing to clean up.
import { writeSync } from 'node:fs';
import { computing, runToExit } from '../../src/cli/run.js';
import { makeTemporaryDirectory } from '../../src/system/temporary-directory.js';

const [, , directory, mode] = process.argv;

await runToExit(async () => {
  if (directory !== undefined) {
    makeTemporaryDirectory('ostrata-', directory);
  }
  if (mode === 'computing') {
    await computing(async () => {
      writeSync(1, 'ready');
      for (;;) {}
    });
  }
  setInterval(() => {}, 1000);
  writeSync(1, 'ready');
  await new Promise(() => {});
});
