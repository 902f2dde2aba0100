/** Runs a command: renders its error, sets the exit code, handles Ctrl-C and closed pipes. */
import { CommanderError } from 'commander';
import { type ErrorCode, errnoOf, OstrataError, wrapError } from '../errors.js';
import { stderrColors } from './output/colors.js';
import { printable } from './output/format.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** What shells report for a program that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

/** What commander throws after it has printed a help page or the version. */
const PRINTED_HELP: ReadonlySet<string> = new Set([
  'commander.help',
  'commander.helpDisplayed',
  'commander.version',
]);

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
  // A reader such as `head` that closes the pipe has seen enough: that is no failure, unless
  // the command has failed already.
  process.exit(isUnread ? process.exitCode : EXIT_FAILURE);
}

/** An error as it is reported. */
interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly exitCode: number;
}

/** Prints the error, with `--json` also as JSON, and returns the exit code. */
function reportError(error: unknown): number {
  if (error instanceof CommanderError && PRINTED_HELP.has(error.code)) {
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  const { code, message, exitCode } = failureOf(error);
  const label = code === 'CANCELLED' ? '' : `${stderrColors.red('error:')} `;
  process.stderr.write(`${label}${printable(message)}\n`);
  if (process.argv.includes('--json') && !isUnread) {
    process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  }
  return exitCode;
}

function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) {
    return { code: 'USAGE', message: usageMessage(error), exitCode: EXIT_USAGE };
  }
  if (isUnread) {
    const message = 'canceled: nobody reads standard output any more';
    return { code: 'IO', message, exitCode: EXIT_FAILURE };
  }
  if (interrupt.signal.aborted) {
    return { code: 'CANCELLED', message: 'interrupted', exitCode: EXIT_INTERRUPTED };
  }
  const { code, message } = error instanceof OstrataError ? error : unexpected(error);
  return { code, message, exitCode: code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE };
}

/** Returns commander's message, which has a label and its suggestions on a second line. */
function usageMessage({ message }: CommanderError): string {
  return message.replace(/^error: /, '').replace(/\n\(Did (.*)\)$/s, '; did $1');
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
