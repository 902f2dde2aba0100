/** Programs of the system, run for what is theirs. */
import { spawn } from 'node:child_process';
import { OstrataError, wrapError } from '../errors.js';

/** Of each output that is kept. */
const MAX_OUTPUT = 1 << 20;

export interface ProgramOptions {
  /** What is done with it: the beginning of the message where the program is missing. */
  readonly purpose: string;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** For its standard input, which is empty otherwise. */
  readonly input?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}
export interface ProgramRun {
  /** Null where a signal ended it. */
  readonly code: number | null;
  /** A program that says more than 1 MiB is ended. */
  readonly stdout: string;
  /** The last MiB. */
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. `UNSUPPORTED` where it is not installed. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramRun> {
  const { purpose, input = '', env, signal } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...(env && { env }), ...(signal && { signal }) });
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
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new OstrataError(
              'UNSUPPORTED',
              `${purpose} needs the program ${command}, which is not installed`,
            )
          : wrapError(command, error),
      ),
    );
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    // It may end without reading.
    child.stdin.on('error', () => {}).end(input);
  });
}
