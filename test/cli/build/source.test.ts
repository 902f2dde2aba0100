/** What a build has opened is closed when it ends or fails, not only when the process ends. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';
import { addBuildCommand } from '../../../src/cli/build/build.js';
import { type ForgedEntry, forgePlain } from '../../support/forge-image.js';
import { run } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const file = (name: string): ForgedEntry => ({ name, type: 'file', content: Buffer.from(name) });

/** Runs a command in this process. */
async function runCommand(args: readonly string[]): Promise<void> {
  const program = new Command();
  addBuildCommand(program);
  await program.parseAsync(args, { from: 'user' });
}

test(
  'copies that skopeo made of images are removed when a build ends',
  needs('skopeo'),
  async () => {
    const scratch = scratchDirectory();
    const spool = join(scratch, 'spool');
    mkdirSync(spool);
    const names = ['from', 'base', 'previous', 'compared'];
    const [from, base, previous, compared] = names.map((name) => {
      const layers = name === 'base' ? [[file('lower')]] : [[file('lower')], [file(name)]];
      const { imgref } = forgePlain(layers);
      run('skopeo', ['--insecure-policy', 'copy', imgref, `dir:${scratch}/${name}`]);
      return `dir:${scratch}/${name}`;
    });
    const followed = [`--previous-build=${previous}`, `--compare-with-build=${compared}`];
    const options = [...followed, '--quiet', '--no-cache'];
    const build = ['build', ...options, `--spool=${spool}`, `--from=${from}`];

    await runCommand([...build, `--base=${base}`, `oci:${scratch}/out`]);
    assert.deepEqual(readdirSync(spool), []);
    const wrongBase = runCommand([...build, `--base=${previous}`, `oci:${scratch}/out`]);
    await assert.rejects(wrongBase, /does not begin with/);
    assert.deepEqual(readdirSync(spool), []);
    const noBase = runCommand([...build, `--base=dir:${scratch}/missing`, `oci:${scratch}/out`]);
    await assert.rejects(noBase, /skopeo/);
    assert.deepEqual(readdirSync(spool), []);
  },
);

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
    const inputs = [`--from=${image.imgref}`, `--base=${base.imgref}`, `--spool=${spool}`];
    const options = ['--quiet', '--no-cache', ...inputs, ...args];
    await assert.rejects(runCommand(['build', ...options, 'oci:/dev/null/image']), message);
    assert.deepEqual(readdirSync(spool), []);
  });
}
