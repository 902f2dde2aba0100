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
  /** Exit code; null where a signal ended the program. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT_BYTES = 1 << 30;

/**
 * Runs a program to its end, without judging its exit code. Output is read as Latin-1: one character a byte. Each run
 * has a cache of its own, unless told otherwise: what one made does not hide what another does.
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

/** Standard output of a program that must succeed. */
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

export function tryOstrata(args: readonly string[], options: RunOptions = {}): RunResult {
  return tryRun(process.execPath, [ostrataProgram, ...args], options);
}

export function ostrata(args: readonly string[], options: RunOptions = {}): string {
  return run(process.execPath, [ostrataProgram, ...args], options);
}

/** Runs `body` with a directory of its own, which is removed afterwards. */
export async function inScratch<T>(body: (directory: string) => T | Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
  try {
    return await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
