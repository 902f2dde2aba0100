/**
 * What a pipeline finds on its machine: a runner with the action of this checkout, and programs on
 * the path that stand in for those that a test does not run.
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './root.js';
import { ostrataProgram } from './run.js';
import { scratchDirectory } from './scratch.js';
import type { Runner } from './workflow.js';

export const ACTION = '.github/actions/ostrata';

export interface Pipeline extends Runner {
  /** The folder that comes first on the path. */
  readonly programs: string;
}

/** Writes a shell script that can be run. */
export function writeProgram(file: string, lines: readonly string[]): void {
  writeFileSync(file, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(file, 0o755);
}

/** Names that pipelines use, as regular expressions, and what stands for them in a test. */
export type Names = readonly (readonly [pattern: string, name: string])[];

/** Returns the source of a module that runs a program with other names in its arguments. */
function runRenamed(program: readonly string[], names: Names): string {
  return `import { spawnSync } from 'node:child_process';
const names = ${JSON.stringify(names)};
const rename = (all, [pattern, name]) => all.replace(new RegExp(pattern), name);
const given = process.argv.slice(2).map((argument) => names.reduce(rename, argument));
const [program, ...first] = ${JSON.stringify(program)};
const { status } = spawnSync(program, [...first, ...given], { stdio: 'inherit' });
process.exitCode = status ?? 1;
`;
}

/** Writes a program that runs another one with other names in its arguments. */
export function writeRenamed(file: string, program: readonly string[], names: Names): void {
  writeFileSync(`${file}.mjs`, runRenamed(program, names));
  writeProgram(file, [`exec ${process.execPath} ${file}.mjs "$@"`]);
}

/**
 * Makes a runner with a copy of the action and what it uses of its checkout: sources that are
 * compiled already. `sudo` writes its arguments to the file `as-root` and runs them. `curl` writes
 * its URL to the file `url`, all arguments to `curl-arguments`, and answers with the file `released`.
 */
export function makePipeline(names: Names = []): Pipeline {
  const checkout = scratchDirectory();
  const actionPath = join(checkout, ACTION);
  cpSync(join(repoRoot, ACTION), actionPath, { recursive: true });
  copyFileSync(join(repoRoot, 'package.json'), join(checkout, 'package.json'));
  mkdirSync(join(checkout, '.ci'));
  writeFileSync(join(checkout, '.ci/prepare.mjs'), 'console.error("compiled")');
  mkdirSync(join(checkout, 'dist/src/cli'), { recursive: true });
  const main = runRenamed([process.execPath, ostrataProgram], names);
  writeFileSync(join(checkout, 'dist/src/cli/main.js'), main);

  const programs = scratchDirectory();
  symlinkSync(process.execPath, join(programs, 'node'));
  writeProgram(join(programs, 'sudo'), [`echo "$@" > ${programs}/as-root`, 'exec "$@"']);
  writeProgram(join(programs, 'curl'), [
    `echo "$*" > ${programs}/curl-arguments`,
    'while [ $# -gt 1 ]; do [ "$1" = --output ] && file=$2; shift; done',
    `echo "$1" > ${programs}/url`,
    `cp ${programs}/released "$file"`,
  ]);
  const env = { PATH: `${programs}:${process.env.PATH}`, HOME: programs };
  return { env, actionPath, programs, cwd: scratchDirectory() };
}
