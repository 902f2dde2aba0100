// A command whose output is lost says so.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { repoRoot } from '../support/root.js';
import { ostrataProgram, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const database = join(repoRoot, 'rpmdb-fixtures/trixie-ndb');
const COMMANDS = {
  help: ['container-encapsulate', '--help'],
  version: ['--version'],
  list: ['rpmdb', 'list', `--dbpath=${database}`],
  json: ['rpmdb', 'list', '--json', `--dbpath=${database}`],
};

/** Runs a command in a shell. `script` has the command as "$@". */
function runInShell(script: string, args: readonly string[]) {
  return tryRun('bash', ['-c', script, 'bash', process.execPath, ostrataProgram, ...args]);
}

suite('standard output', () => {
  for (const [name, args] of Object.entries(COMMANDS)) {
    test(`on a full disk is one error: ${name}`, () => {
      const { status, stderr } = runInShell('"$@" >/dev/full', args);
      assert.equal(status, 1);
      assert.match(stderr, /^error: writing standard output: ENOSPC: .*\n$/);
    });

    test(`that nobody reads is no error: ${name}`, () => {
      const { status, stderr } = runInShell('set -o pipefail; "$@" | true', args);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });
  }

  test('of which the file system takes only a part is an error', () => {
    const file = join(scratchDirectory(), 'file');
    // The unit is 512 bytes or 1 KiB; either way the limit is less than the output.
    const { status, stderr } = runInShell(`ulimit -f 1; "$@" >${file}`, COMMANDS.help);
    assert.ok(statSync(file).size > 0);
    assert.match(stderr, /^error: writing standard output: EFBIG: .*\n$/);
    assert.equal(status, 1);
  });

  test('that cannot be written does not hide another error', () => {
    const { status, stderr } = runInShell('"$@" >/dev/full', ['nonsense', '--json']);
    assert.deepEqual(
      { status, stderr },
      { status: 2, stderr: "error: unknown command 'nonsense'\n" },
    );
  });
});

test('warnings and errors that cannot be written change nothing', () => {
  const { status, stdout } = runInShell('"$@" 2>/dev/full', ['nonsense', '--json']);
  assert.equal(status, 2);
  assert.match(stdout, /^\{"error":/);
});
