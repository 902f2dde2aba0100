/** The logger of the command line. It writes to standard error, progress to a terminal only. */
import type { Logger } from '../../log.js';
import { stderrColors } from './colors.js';
import { formatBytes, formatPercent } from './format.js';
import { printable, printMessage } from './print.js';

/** Values of `--quiet` and `--verbose`. */
export interface LogOptions {
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

/** Redrawing more often than the eye follows costs time. */
const REDRAW_MS = 100;
/** A transfer rate that was measured over less time than this means nothing. */
const RATE_MS = 1000;
const CLEAR_LINE = '\r\x1b[K';

export function terminalLogger(options: LogOptions): Logger {
  return new TerminalLogger(options);
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
  readonly #showsProgress: boolean;
  /** Whether the last line of the terminal shows progress; the next message replaces it. */
  #isDrawn = false;
  #drawnAt = 0;
  /** The work that the last progress was about, and when that work began. */
  #work = '';
  #workStart = 0;

  constructor({ quiet = false, verbose = false }: LogOptions) {
    this.#isQuiet = quiet;
    this.#isVerbose = verbose && !quiet;
    this.#showsProgress = process.stderr.isTTY === true && !quiet;
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
    if (!this.#showsProgress) {
      return;
    }
    const now = performance.now();
    if (what !== this.#work) {
      this.#work = what;
      this.#workStart = now;
    }
    const isFinished = done >= total;
    if (!isFinished && now - this.#drawnAt < REDRAW_MS) {
      return;
    }

    const share = formatPercent(done, total).padStart(7);
    const amount = `${formatBytes(done)} of ${formatBytes(total)}`;
    const text = `${printable(what)} ${share}  ${amount}${this.#rate(done, now)}`;
    process.stderr.write(isFinished ? CLEAR_LINE : `${CLEAR_LINE}${text}`);
    this.#drawnAt = now;
    this.#isDrawn = !isFinished;
  }

  #rate(done: number, now: number): string {
    const elapsedMs = now - this.#workStart;
    if (elapsedMs < RATE_MS) {
      return '';
    }
    return `  ${formatBytes(Math.round((done * 1000) / elapsedMs))}/s`;
  }

  #clear(): void {
    if (this.#isDrawn) {
      process.stderr.write(CLEAR_LINE);
    }
    this.#isDrawn = false;
  }
}
