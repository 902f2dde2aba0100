/**
 * The logger of the command line. It writes to standard error: progress to a terminal many times a
 * second, to a log as a line now and then.
 */
import type { Logger } from '../../log.js';
import { stderrColors } from './colors.js';
import { formatBytes, formatDuration, formatPercent } from './format.js';
import { printable, printMessage } from './print.js';
import { lineWidth, type OutputStream } from './width.js';

/** Values of `--quiet` and `--verbose`. */
export interface LogOptions {
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

/** Redrawing more often than the eye follows costs time. */
const REDRAW_MS = 100;
/** How often a log, which is no terminal, gets a line. */
const LOG_LINE_MS = 30_000;
/** A transfer rate that was measured over less time than this means nothing. */
const RATE_MS = 1000;
const CLEAR_LINE = '\r\x1b[K';

/** Where progress goes: standard error, or what a test reads. */
export interface ProgressOutput extends OutputStream {
  write(text: string): unknown;
}

/** @param now returns milliseconds */
export function terminalLogger(
  options: LogOptions,
  output: ProgressOutput = process.stderr,
  now = () => performance.now(),
): Logger {
  return new TerminalLogger(options, output, now);
}

/** Returns a logger that reports to `log`, and the warnings that it was given so far. */
export function keepWarnings(log: Logger): { readonly log: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const keeping: Logger = {
    warn: (message) => {
      warnings.push(message);
      log.warn(message);
    },
    info: (message) => log.info(message),
    progress: (what, done, total) => log.progress(what, done, total),
  };
  return { log: keeping, warnings };
}

class TerminalLogger implements Logger {
  readonly #isQuiet: boolean;
  readonly #isVerbose: boolean;
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  /** Whether the last line of the terminal shows progress; the next message replaces it. */
  #isDrawn = false;
  #drawnAt = 0;
  /** The work that the last progress was about, and when that work began. */
  #work = '';
  #workStart = 0;

  constructor(
    { quiet = false, verbose = false }: LogOptions,
    output: ProgressOutput,
    now: () => number,
  ) {
    this.#isQuiet = quiet;
    this.#isVerbose = verbose && !quiet;
    this.#output = output;
    this.#now = now;
  }

  warn(message: string): void {
    if (!this.#isQuiet) {
      this.#clear();
      printMessage(message, `${stderrColors.yellow('warning:')} `);
    }
  }

  info(message: string): void {
    if (this.#isVerbose) {
      this.#clear();
      printMessage(message, '', stderrColors.dim);
    }
  }

  progress(what: string, done: number, total: number): void {
    if (this.#isQuiet) {
      return;
    }
    const now = this.#now();
    if (what !== this.#work) {
      this.#work = what;
      this.#workStart = now;
    }
    if (this.#output.isTTY) {
      this.#redraw(done, total, now);
    } else {
      this.#logLine(done, total, now);
    }
  }

  #redraw(done: number, total: number, now: number): void {
    const isFinished = done >= total;
    if (!isFinished && now - this.#drawnAt < REDRAW_MS) {
      return;
    }
    const text = isFinished ? '' : this.#text(done, total, now);
    this.#output.write(`${CLEAR_LINE}${text}`);
    this.#drawnAt = now;
    this.#isDrawn = !isFinished;
  }

  #logLine(done: number, total: number, now: number): void {
    const waited = now - Math.max(this.#drawnAt, this.#workStart);
    if (done < total && waited >= LOG_LINE_MS) {
      this.#output.write(`${this.#text(done, total, now)}\n`);
      this.#drawnAt = now;
    }
  }

  /** Returns as much about the work as fits into a line; what matters less comes later. */
  #text(done: number, total: number, now: number): string {
    const share = formatPercent(done, total).padStart(7);
    const amount = `${formatBytes(done)} of ${formatBytes(total)}`;
    const parts = [amount, ...this.#rate(done, total, now)];
    // A line of the full width would go on in the next line of some terminals.
    const width = lineWidth(this.#output) - 1;
    let text = `${printable(this.#work)} ${share}`.slice(0, width);
    for (const part of parts) {
      const longer = `${text}  ${part}`;
      text = longer.length <= width ? longer : text;
    }
    return text;
  }

  /** The bytes in a second and the time that is left, once they can be told. */
  #rate(done: number, total: number, now: number): readonly string[] {
    const elapsedMs = now - this.#workStart;
    if (elapsedMs < RATE_MS || done === 0) {
      return [];
    }
    const rate = (done * 1000) / elapsedMs;
    const left = formatDuration((total - done) / rate);
    return [`${formatBytes(Math.round(rate))}/s`, `${left} left`];
  }

  #clear(): void {
    if (this.#isDrawn) {
      this.#output.write(CLEAR_LINE);
    }
    this.#isDrawn = false;
  }
}
