// Signals end every command, whatever it is doing, and leave nothing behind.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { repoRoot } from '../support/root.js';
import { ostrataProgram } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

/** After this time, a command that has not ended is killed, so that the test fails. */
const PATIENCE_MS = 30_000;
const neverEnds = join(repoRoot, 'dist/test/support/never-ends.js');

/** Makes a process take itself for the first one of a container. */
const asFirstProcess = `data:text/javascript,Object.defineProperty(process, 'pid', { value: 1 })`;

const EXIT_CODES = [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGQUIT', 131],
  ['SIGTERM', 143],
] as const;

/** Waits for the first output, sends the signal, and returns how the process ended. */
async function endBy(child: ChildProcess, signal: NodeJS.Signals) {
  const killer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const exit = once(child, 'exit');
  child.stdout?.once('data', () => child.kill(signal));
  const [exitCode, endedBy] = await exit;
  clearTimeout(killer);
  return { exitCode, endedBy };
}

/** Starts a command whose plugin says `ready` and loops. */
function startLoop(): ChildProcess {
  const scratch = scratchDirectory();
  const built = new RepoBuilder('archive', '', scratch);
  const commit = built.commit(built.tree(dir({ x: 'x' })));
  const plugin = join(scratch, 'plugin.mjs');
  writeFileSync(
    plugin,
    `import { writeSync } from 'node:fs';
    const load = async () => {
      writeSync(1, 'ready');
      for (;;) {}
    };
    const source = { name: 'x', priority: 1, detect: () => true, load };
    export default { name: 'x', apiVersion: '^1.0', contentSources: [source] };`,
  );
  const command = ['container-encapsulate', '--dry-run', `--plugin=${plugin}`];
  const args = [ostrataProgram, ...command, `--repo=${built.path}`, commit, 'oci:x'];
  return spawn(process.execPath, args, { cwd: scratch });
}

suite('a signal ends', () => {
  for (const [signal, expectedCode] of EXIT_CODES) {
    test(`a loop that no handler could interrupt: ${signal}`, async () => {
      assert.deepEqual(await endBy(startLoop(), signal), { exitCode: null, endedBy: signal });
    });

    test(`a long computation in spite of a temporary directory: ${signal}`, async () => {
      const child = spawn(process.execPath, [neverEnds, scratchDirectory(), 'computing']);
      assert.deepEqual(await endBy(child, signal), { exitCode: null, endedBy: signal });
    });

    test(`a command that does not stop when it is asked to: ${signal}`, async () => {
      const scratch = scratchDirectory();
      const child = spawn(process.execPath, [neverEnds, scratch]);
      assert.deepEqual(await endBy(child, signal), { exitCode: expectedCode, endedBy: null });
      assert.deepEqual(readdirSync(scratch), []);
    });

    test(`a command that waits as the first process of a container: ${signal}`, async () => {
      const child = spawn(process.execPath, ['--import', asFirstProcess, neverEnds]);
      assert.deepEqual(await endBy(child, signal), { exitCode: expectedCode, endedBy: null });
    });
  }
});
