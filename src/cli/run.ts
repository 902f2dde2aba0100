/** Runs a command: one error renderer, exit codes, Ctrl-C. */
import { CommanderError } from 'commander';
import { OstrataError, wrapError } from '../errors.js';
import { stderrColors } from './output/colors.js';
import { printable } from './output/format.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** As shells report a program that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

const interrupt = new AbortController();

/** Fires at the first Ctrl-C (or SIGTERM): what is being written is then removed. The second ends the process at once. */
export const interruptSignal: AbortSignal = interrupt.signal;

let isCancelledIfUnread = false;
let isUnread = false;

/** From now on work is cancelled when nobody reads standard output any more: it must not look as if it were done. */
export function cancelIfUnread(): void {
  isCancelledIfUnread = true;
}

/** Awaits `body` and sets the process's exit code; every failure is one line on standard error. */
export async function runToExit(body: () => Promise<unknown>): Promise<void> {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (interrupt.signal.aborted) {
        process.exit(EXIT_INTERRUPTED);
      }
      interrupt.abort();
    });
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    isUnread = error.code === 'EPIPE';
    // Whoever reads our output may have seen enough of it.
    if (!isUnread || !isCancelledIfUnread) {
      process.exit(isUnread ? 0 : EXIT_FAILURE);
    }
    interrupt.abort();
  });
  try {
    await body();
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

/** Prints the error, unless commander has done so, and returns the exit code. */
function reportError(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  if (isUnread) {
    process.stderr.write(`${stderrColors.red('error:')} cancelled: nobody reads standard output\n`);
    return EXIT_FAILURE;
  }
  if (interrupt.signal.aborted) {
    process.stderr.write('interrupted\n');
    return EXIT_INTERRUPTED;
  }
  const known = error instanceof OstrataError ? error : unexpected(error);
  process.stderr.write(`${stderrColors.red('error:')} ${printable(known.message)}\n`);
  return known.code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE;
}

/** A mistake of this program's, unless the operating system reported it: its place in the code helps whoever reports it. */
function unexpected(error: unknown): OstrataError {
  if (error instanceof Error && (error as NodeJS.ErrnoException).syscall !== undefined) {
    return new OstrataError('IO', error.message, { cause: error });
  }
  const place = error instanceof Error ? /\n\s+at (.*)/.exec(error.stack ?? '')?.[1] : undefined;
  return wrapError(
    `unexpected failure, please report it${place === undefined ? '' : ` (${place})`}`,
    error,
  );
}
