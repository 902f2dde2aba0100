// node never-ends.js DIRECTORY
// A command that makes a temporary directory in DIRECTORY, says `ready`, and goes on when its
// signal fires.
import { runToExit } from '../../src/cli/run.js';
import { makeTemporaryDirectory } from '../../src/system/temporary-directory.js';

await runToExit(async () => {
  makeTemporaryDirectory('ostrata-', process.argv[2]);
  setInterval(() => {}, 1000);
  console.log('ready');
  await new Promise(() => {});
});
