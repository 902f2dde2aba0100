/** What `build --from` has opened is closed when the build fails, not only when the process ends. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';
import { addBuildCommand } from '../../../src/cli/build/build.js';
import { openSource } from '../../../src/cli/build/source.js';
import { type ForgedEntry, forgePlain, writeTar } from '../../support/forge-image.js';
import { memoryImage } from '../../support/memory-image.js';
import { scratchDirectory } from '../../support/scratch.js';

const { signal } = new AbortController();
const file = (name: string): ForgedEntry => ({ name, type: 'file', content: Buffer.from(name) });

/** Opens images in memory with one layer that holds a file of their name; notes what is closed. */
function memoryOpener() {
  const closed: string[] = [];
  const open = async (name: string) => ({
    ...memoryImage({ layers: [writeTar([file(name)])] }),
    close: async () => {
      closed.push(name);
    },
  });
  return { closed, openers: { openForReuse: open, openForReading: open, signal } };
}

test('an image and a base that it does not begin with are both closed', async () => {
  const { closed, openers } = memoryOpener();
  await assert.rejects(openSource({ from: 'image', base: 'base' }, openers), /does not begin with/);
  assert.deepEqual(closed, ['image', 'base']);
});

test('an image is closed if its base cannot be opened', async () => {
  const { closed, openers } = memoryOpener();
  const openForReuse = () => Promise.reject(new Error('there is no base'));
  await assert.rejects(
    openSource({ from: 'image', base: 'base' }, { ...openers, openForReuse }),
    /there is no base/,
  );
  assert.deepEqual(closed, ['image']);
});

/** Each of them makes a build fail after its layers have been read into the spool. */
const FAILURES: readonly (readonly [step: string, args: readonly string[], message: RegExp])[] = [
  ['planned', ['--max-layers=1'], /at most 1 layers are too few/],
  ['written', ['--max-layers=9'], /ENOTDIR|not a directory/],
];
for (const [step, args, message] of FAILURES) {
  test(`the spool is removed as soon as an image cannot be ${step}`, async () => {
    const lower = [file('lower')];
    const base = forgePlain([lower]);
    const image = forgePlain([lower, [file('upper')]]);
    const spool = join(scratchDirectory(), 'spool');
    mkdirSync(spool);
    const program = new Command();
    addBuildCommand(program);
    const inputs = [`--from=${image.imgref}`, `--base=${base.imgref}`, `--spool=${spool}`];
    const options = ['--quiet', '--no-cache', ...inputs, ...args];
    const build = ['build', ...options, 'oci:/dev/null/image'];
    await assert.rejects(program.parseAsync(build, { from: 'user' }), message);
    assert.deepEqual(readdirSync(spool), []);
  });
}
