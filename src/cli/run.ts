/** Runs a command: renders its error, sets the exit code, handles Ctrl-C and closed pipes. */
import { CommanderError } from 'commander';
import { errnoOf, OstrataError, wrapError } from '../errors.js';
import { stderrColors } from './output/colors.js';
import { printable } from './output/format.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** What shells report for a program that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

const interrupt = new AbortController();

/**
 * Fires at the first Ctrl-C or SIGTERM: unfinished output is then removed. The second one ends the
 * process at once.
 */
export const interruptSignal: AbortSignal = interrupt.signal;

let isCancelledIfUnread = false;
let isUnread = false;

/**
 * From now on, work is canceled once nobody reads standard output any more: a program that reads
 * events must not miss the result.
 */
export function cancelIfUnread(): void {
  isCancelledIfUnread = true;
}

/** Awaits `body` and sets the exit code. A failure is reported in one line on standard error. */
export async function runToExit(body: () => Promise<unknown>): Promise<void> {
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  process.stdout.on('error', onOutputError);
  try {
    await body();
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

function onInterrupt(): void {
  if (interrupt.signal.aborted) {
    process.exit(EXIT_INTERRUPTED);
  }
  interrupt.abort();
}

function onOutputError(error: Error): void {
  isUnread = errnoOf(error) === 'EPIPE';
  if (isUnread && isCancelledIfUnread) {
    interrupt.abort();
    return;
  }
  // A reader such as `head` that closes the pipe has seen enough: that is no failure.
  process.exit(isUnread ? 0 : EXIT_FAILURE);
}

/** Prints the error, unless commander has done so, and returns the exit code. */
function reportError(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  if (isUnread) {
    printError('canceled: nobody reads standard output any more');
    return EXIT_FAILURE;
  }
  if (interrupt.signal.aborted) {
    process.stderr.write('interrupted\n');
    return EXIT_INTERRUPTED;
  }
  const known = error instanceof OstrataError ? error : unexpected(error);
  printError(known.message);
  return known.code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE;
}

function printError(message: string): void {
  process.stderr.write(`${stderrColors.red('error:')} ${printable(message)}\n`);
}

/** An error of the operating system stays as it is; any other is a bug, whose place is named. */
function unexpected(error: unknown): OstrataError {
  if (error instanceof Error && 'syscall' in error) {
    return new OstrataError('IO', error.message, { cause: error });
  }
  const location = error instanceof Error && /\n\s+at (.*)/.exec(error.stack ?? '')?.[1];
  const where = location ? ` (${location})` : '';
  return wrapError(`unexpected failure, please report it${where}`, error);
}
