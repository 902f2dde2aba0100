/** The logger of the command line: everything goes to standard error, progress only where that is a terminal. */

import type { Logger } from '../../log.js';
import { stderrColors } from './colors.js';
import { formatBytes, formatPercent } from './format.js';

export interface LogOptions {
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

/** Redrawing more often than the eye follows costs time. */
const REDRAW_MS = 100;
/** A rate over less than this says nothing. */
const RATE_MS = 1000;
const CLEAR_LINE = '\r\x1b[K';

export function terminalLogger({ quiet = false, verbose = false }: LogOptions): Logger {
  const stderr = process.stderr;
  const showsProgress = stderr.isTTY === true && !quiet;
  let drawn = false;
  let drawnAt = 0;
  /** What the last progress was of, and when that began. */
  let work = '';
  let workStart = 0;
  const line = (text: string) => {
    stderr.write(`${drawn ? CLEAR_LINE : ''}${text}\n`);
    drawn = false;
  };
  return {
    warn: (message) => {
      if (!quiet) {
        line(`${stderrColors.yellow('warning:')} ${message}`);
      }
    },
    info: (message) => {
      if (verbose && !quiet) {
        line(stderrColors.dim(message));
      }
    },
    progress: (what, done, total) => {
      if (!showsProgress) {
        return;
      }
      const finished = done >= total;
      const now = performance.now();
      if (what !== work) {
        [work, workStart] = [what, now];
      }
      if (!finished && now - drawnAt < REDRAW_MS) {
        return;
      }
      drawnAt = now;
      const rate =
        now - workStart < RATE_MS
          ? ''
          : `  ${formatBytes(Math.round((done * 1000) / (now - workStart)))}/s`;
      const amount = `${formatPercent(done, total).padStart(7)}  ${formatBytes(done)} of ${formatBytes(total)}${rate}`;
      stderr.write(finished ? CLEAR_LINE : `${CLEAR_LINE}${what} ${amount}`);
      drawn = !finished;
    },
  };
}
