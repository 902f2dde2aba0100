/** Runs programs that are installed on the system. */
import { spawn } from 'node:child_process';
import { errnoOf, OstrataError, wrapError } from '../errors.js';

/** Limit for each output, in characters. */
const MAX_OUTPUT = 1 << 20;

export interface ProgramOptions {
  /** What the program is needed for: the beginning of the message if it is not installed. */
  readonly purpose: string;
  /** The packages of distributions that have the program, for that message. */
  readonly packages?: string | undefined;
  /** All environment variables of the program; by default those of this process. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** The program's standard input; empty by default. */
  readonly input?: string | undefined;
  /** Ends the program; the error is then `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramRun {
  /** The exit code; null if a signal ended the program. */
  readonly code: number | null;
  /** The standard output. A program that writes more than 1 MiB is killed. */
  readonly stdout: string;
  /** The end of the standard error, at most 1 MiB. */
  readonly stderr: string;
}

/**
 * Runs a program until it ends, with whatever exit code. Throws `UNSUPPORTED` if it is not
 * installed.
 */
export function runProgram(
  command: string,
  args: readonly string[],
  { purpose, packages, env, input = '', signal }: ProgramOptions,
): Promise<ProgramRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, signal });
    let stdout = '';
    let stderr = '';

    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.length > MAX_OUTPUT) {
        child.kill();
      }
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = `${stderr}${text}`.slice(-MAX_OUTPUT);
    });
    child.on('error', (error) => reject(startError(command, { purpose, packages }, error)));
    child.on('close', (code) => resolve({ code, stdout, stderr }));

    // It is not an error if the program ends without reading its input.
    child.stdin.on('error', () => {}).end(input);
  });
}

function startError(
  command: string,
  { purpose, packages }: ProgramOptions,
  error: Error,
): OstrataError {
  if (errnoOf(error) !== 'ENOENT') {
    return wrapError(command, error);
  }
  const advice = packages === undefined ? '' : `; install the package ${packages}`;
  return new OstrataError(
    'UNSUPPORTED',
    `${purpose} needs the program ${command}, which is not installed${advice}`,
    { cause: error },
  );
}
