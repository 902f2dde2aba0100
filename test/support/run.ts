/** Runs programs to their end, above all `ostrata` as a user calls it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from './root.js';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

export interface RunResult {
  /** The exit code; null if a signal ended the program. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT_BYTES = 1 << 30;

/**
 * Runs a program to its end, whatever its exit code. Output is decoded as Latin-1, so that each
 * character is one byte. Each run gets an empty layer cache, unless `env` names another one:
 * a layer that one run cached must not hide what the next one does.
 */
export function tryRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): RunResult {
  const cache = mkdtempSync(join(tmpdir(), 'ostrata-test-cache-'));
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', XDG_CACHE_HOME: cache, ...options.env },
    ...(options.input === undefined ? {} : { input: options.input }),
    encoding: 'latin1',
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  rmSync(cache, { recursive: true, force: true });
  if (error) {
    throw error;
  }
  return { status, stdout, stderr };
}

/** Runs a program that must succeed; returns its standard output. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): string {
  const result = tryRun(program, args, options);
  if (result.status !== 0) {
    throw new Error(
      `${program} ${args.join(' ')}: exit code ${result.status}\n${result.stderr.slice(-4000)}`,
    );
  }
  return result.stdout;
}

/** The program under test, as a user calls it. */
export const ostrataProgram = join(repoRoot, 'dist/src/cli/main.js');

/** {@link tryRun} for `ostrata`. */
export function tryOstrata(args: readonly string[], options: RunOptions = {}): RunResult {
  return tryRun(process.execPath, [ostrataProgram, ...args], options);
}

/** {@link run} for `ostrata`. */
export function ostrata(args: readonly string[], options: RunOptions = {}): string {
  return run(process.execPath, [ostrataProgram, ...args], options);
}
