/**
 * The logger of the command line. It writes to standard error: progress to a terminal as lines that
 * are drawn again and again, to a log as a line now and then, to a program as lines of JSON.
 */
import type { Logger, ProgressEvent } from '../../log.js';
import { LiveRegion, liveRegion, type ProgressOutput } from './live-region.js';
import { printEvent, printMessage, printMessagesAsJson } from './print.js';
import { headingOf, progressLines, type Room } from './progress-lines.js';
import { ProgressState } from './progress-state.js';
import { lineWidth } from './width.js';

/** Values of `--progress`. */
export const PROGRESS_MODES = ['auto', 'plain', 'json', 'none'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** Values of `--quiet`, `--verbose` and `--progress`. */
export interface LogOptions {
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly progress?: ProgressMode | undefined;
}

/** Redrawing more often than the eye follows costs time. */
const REDRAW_MS = 100;
/** How often a log, which is no terminal, gets a line. */
const LOG_LINE_MS = 30_000;
/** How often a program is told of a layer that goes on. */
const JSON_MS = 200;
/** The size of a terminal that says 0, or nothing: one without a window, as in a container. */
const DEFAULT_ROWS = 24;
const DEFAULT_COLUMNS = 80;

/** Takes events of progress. */
type ProgressView = (event: ProgressEvent) => void;

/**
 * @param output a stream for tests in place of standard error
 * @param now returns milliseconds
 */
export function terminalLogger(
  options: LogOptions,
  output: ProgressOutput = process.stderr,
  now = () => performance.now(),
): Logger {
  const { quiet = false, verbose = false, progress = 'auto' } = options;
  const isJson = progress === 'json' && !quiet;
  if (isJson) {
    printMessagesAsJson();
  }
  return {
    warn: (message) => {
      if (!quiet) {
        printMessage(message, 'warning');
      }
    },
    info: (message) => {
      if (verbose && !quiet) {
        printMessage(message, 'info');
      }
    },
    progress: quiet ? () => {} : viewOf(progress, output, now),
  };
}

/** Returns a logger that reports to `log`, and the warnings that it was given so far. */
export function keepWarnings(log: Logger): { readonly log: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const keeping: Logger = {
    ...log,
    warn: (message) => {
      warnings.push(message);
      log.warn(message);
    },
  };
  return { log: keeping, warnings };
}

function viewOf(mode: ProgressMode, output: ProgressOutput, now: () => number): ProgressView {
  switch (mode) {
    case 'none':
      return () => {};
    case 'json':
      return jsonView(now);
    case 'plain':
      return plainView(output, now);
    case 'auto': {
      const isLive = output.isTTY && process.env.TERM !== 'dumb';
      return isLive ? liveView(output, now) : plainView(output, now);
    }
  }
}

/** Draws all work in the last lines of a terminal. */
function liveView(output: ProgressOutput, now: () => number): ProgressView {
  const region = output === process.stderr ? liveRegion : new LiveRegion(output);
  const state = new ProgressState();
  let drawnMs = Number.NEGATIVE_INFINITY;
  return (event) => {
    const nowMs = now();
    state.apply(event, nowMs);
    const { works } = state;
    const isNew = event.event === 'start' && event.part === undefined;
    const isUrgent = isNew || works.length === 0;
    if (isUrgent || nowMs - drawnMs >= REDRAW_MS) {
      region.draw(progressLines(works, nowMs, roomOf(output)));
      drawnMs = nowMs;
    }
  };
}

/** A line that fills the last column would go on in the next line of some terminals. */
function roomOf(output: ProgressOutput): Room {
  const rows = output.rows || DEFAULT_ROWS;
  const width = lineWidth(output);
  const columns = Number.isFinite(width) ? width : DEFAULT_COLUMNS;
  return { columns: Math.max(1, columns - 1), rows: Math.max(1, rows - 1) };
}

/** Writes a line about long work every 30 seconds. */
function plainView(output: ProgressOutput, now: () => number): ProgressView {
  const state = new ProgressState();
  let writtenMs = Number.NEGATIVE_INFINITY;
  return (event) => {
    const nowMs = now();
    const work = state.apply(event, nowMs);
    const waitedMs = nowMs - Math.max(writtenMs, work.startMs);
    if (event.event === 'advance' && waitedMs >= LOG_LINE_MS) {
      output.write(`${headingOf(work, nowMs, lineWidth(output) - 1)}\n`);
      writtenMs = nowMs;
    }
  };
}

/** Prints each event, but only some of those that say that a layer goes on. */
function jsonView(now: () => number): ProgressView {
  const printedMs = new Map<string, number>();
  return (event) => {
    const { work, part } = event;
    const key = JSON.stringify([work, part?.id]);
    const nowMs = now();
    const waitedMs = nowMs - (printedMs.get(key) ?? nowMs);
    if (event.event === 'advance' && waitedMs < JSON_MS) {
      return;
    }
    printEvent(event);
    if (event.event === 'end') {
      printedMs.delete(key);
    } else {
      printedMs.set(key, nowMs);
    }
  };
}
