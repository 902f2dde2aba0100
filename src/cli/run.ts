/** Runs a command: renders its error, sets the exit code, handles signals and lost output. */
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { CommanderError } from 'commander';
import { bounded, type ErrorCode, errnoOf, messageOf, OstrataError, wrapError } from '../errors.js';
import { watchTemporaryDirectories } from '../system/temporary-directory.js';
import { writeFully } from '../system/write-fully.js';
import { liveRegion } from './output/live-region.js';
import { print, printMessage } from './output/print.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** Shells report this plus the number of the signal for a program that a signal has ended. */
const EXIT_SIGNALED = 128;
const SIGNALS: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'];
/** The kernel ignores signals to the first process of a container, unless it has handlers. */
const IS_FIRST_PROCESS = process.pid === 1;
/** How long cleaning up may take after a signal. */
const CLEAN_UP_MS = 800;

/** What commander throws after it has printed a help page or the version. */
const PRINTED_HELP: ReadonlySet<string> = new Set([
  'commander.help',
  'commander.helpDisplayed',
  'commander.version',
]);

/** An error as it is reported. */
interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly exitCode: number;
  /** The messages of the errors that together are the failure. */
  readonly details?: readonly string[] | undefined;
}

/** A failure as JSON. */
interface ErrorDocument {
  readonly error: Omit<Failure, 'exitCode'>;
}

const interrupt = new AbortController();
/** Why the command ends before its work is done. */
let ending: Failure | undefined;
let hasTemporaryDirectory = false;
let isComputing = false;
let isCancelledIfUnread = false;
let isOutputLost = false;
let isReported = false;
let isErrorInDocument = false;

/**
 * Fires when the command has to end early and has something to clean up, that is, a temporary
 * directory. Unfinished output is then removed.
 */
export const interruptSignal: AbortSignal = interrupt.signal;

/**
 * From now on, work is canceled once nobody reads standard output any more: a program that reads
 * events must not miss the result.
 */
export function cancelIfUnread(): void {
  isCancelledIfUnread = true;
}

/** Awaits `body` and sets the exit code. A failure is reported in one line on standard error. */
export async function runToExit(body: () => Promise<unknown>): Promise<void> {
  watchTemporaryDirectories((isAny) => {
    hasTemporaryDirectory = isAny;
    updateHandlers();
  });
  updateHandlers();
  writeWholeFiles(process.stdout);
  process.stdout.on('error', onOutputError);
  // There is nobody left to tell, and what the command does is still wanted.
  process.stderr.on('error', () => {});
  try {
    await body();
  } catch (error) {
    process.exitCode = reportError(error);
    // Ends transfers that nobody waits for any more; they would keep the process alive.
    interrupt.abort();
  }
  liveRegion.close();
  if (ending !== undefined) {
    process.exit();
  }
}

/**
 * Runs `body`, which computes for seconds in one task of the event loop and writes nothing. A
 * signal then ends the process at once. If skopeo has copied an image that `body` reads, the next
 * process that needs a copy removes it.
 */
export async function computing<T>(body: () => Promise<T>): Promise<T> {
  isComputing = true;
  updateHandlers();
  try {
    return await body();
  } finally {
    isComputing = false;
    updateHandlers();
  }
}

/**
 * Handlers of signals run only between two tasks of the event loop. So they are installed only
 * while there is something to clean up: otherwise a signal ends the process at once, even in a long
 * loop.
 */
function updateHandlers(): void {
  const needsHandlers = IS_FIRST_PROCESS || (hasTemporaryDirectory && !isComputing);
  for (const signal of SIGNALS) {
    process.off(signal, onSignal);
    if (needsHandlers) {
      process.on(signal, onSignal);
    }
  }
}

function onSignal(signal: NodeJS.Signals): void {
  const exitCode = EXIT_SIGNALED + constants.signals[signal];
  const interrupted: Failure = { code: 'CANCELLED', message: 'interrupted', exitCode };
  end(interrupted);
  setTimeout(() => process.exit(report(interrupted)), CLEAN_UP_MS);
}

/** Ends the command: at once if it is asked again or has nothing to clean up. */
function end(failure: Failure): void {
  if (ending !== undefined || !hasTemporaryDirectory) {
    process.exit(report(failure));
  }
  ending = failure;
  interrupt.abort();
}

/**
 * Node writes to a file once, and ignores that a file system which is about to be full takes only a
 * part.
 */
function writeWholeFiles(output: Writable & { readonly fd: number }): void {
  if (output instanceof Socket) {
    return; // a terminal or a pipe
  }
  output._write = (chunk: Uint8Array, _encoding, callback) => {
    try {
      writeFully(output.fd, chunk);
      callback();
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)));
    }
  };
}

function onOutputError(error: Error): void {
  isOutputLost = true;
  const isUnread = errnoOf(error) === 'EPIPE';
  const isEnough = isUnread && !(isCancelledIfUnread && hasTemporaryDirectory);
  if (isEnough || isReported) {
    // A reader such as `head` that closes the pipe has seen enough: that is no failure, unless
    // the command has failed already. One failure is reported.
    process.exit();
  }
  const message = isUnread
    ? 'canceled: nobody reads standard output any more'
    : `writing standard output: ${error.message}`;
  const failure: Failure = { code: 'IO', message, exitCode: EXIT_FAILURE };
  if (!isUnread) {
    process.exitCode = report(failure);
  }
  end(failure);
}

function reportError(error: unknown): number {
  if (error instanceof CommanderError && PRINTED_HELP.has(error.code)) {
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  return report(failureOf(error));
}

/** Returns an error for the document that ends in it; it is not printed after the document. */
export function errorInDocument(error: unknown): ErrorDocument {
  isErrorInDocument = true;
  return errorDocument(failureOf(error));
}

function errorDocument({ code, message, details }: Failure): ErrorDocument {
  return { error: { code, message: bounded(message), details } };
}

/** Prints the first failure, with `--json` also as JSON. Returns the exit code. */
function report(failure: Failure): number {
  const { code, message, exitCode } = failure;
  if (isReported) {
    return exitCode;
  }
  isReported = true;
  liveRegion.close();
  printMessage(message, 'error', code);
  const isJson = process.argv.includes('--json') || process.argv.includes('--ndjson');
  if (isJson && !isOutputLost && !isErrorInDocument) {
    print(JSON.stringify(errorDocument(failure)));
  }
  return exitCode;
}

function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) {
    return { code: 'USAGE', message: usageMessage(error), exitCode: EXIT_USAGE };
  }
  if (ending !== undefined) {
    return ending;
  }
  const { code, message, cause } = error instanceof OstrataError ? error : unexpected(error);
  const exitCode = code === 'USAGE' ? EXIT_USAGE : EXIT_FAILURE;
  const details = cause instanceof AggregateError ? cause.errors.map(messageOf) : undefined;
  return { code, message, exitCode, details };
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
