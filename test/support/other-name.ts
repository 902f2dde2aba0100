/** Runs the program under the name of another one, as pipelines do that call that one. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ostrataProgram, type RunResult, tryRun } from './run.js';
import { scratchDirectory } from './scratch.js';

type Env = Readonly<Record<string, string>>;

export interface OtherName {
  /** The folder that has the program. */
  readonly directory: string;
  /** Runs a line of a shell script in which the program is on the path. */
  tryLine(line: string, env?: Env): RunResult;
  /** Does the same with a line that must succeed. */
  runLine(line: string, env?: Env): RunResult;
}

/** Makes a folder with a program `name`. A link alone would need `node` on the path. */
export function underName(name: string): OtherName {
  const directory = scratchDirectory();
  const link = join(directory, 'link');
  mkdirSync(link);
  symlinkSync(ostrataProgram, join(link, name));
  const program = join(directory, name);
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${link}/${name} "$@"\n`);
  chmodSync(program, 0o755);

  const tryLine = (line: string, env: Env = {}) =>
    tryRun('sh', ['-c', line], { env: { PATH: `${directory}:${process.env.PATH}`, ...env } });
  const runLine = (line: string, env?: Env) => {
    const result = tryLine(line, env);
    assert.equal(result.status, 0, `${line}\n${result.stderr.slice(-4000)}`);
    return result;
  };
  return { directory, tryLine, runLine };
}
