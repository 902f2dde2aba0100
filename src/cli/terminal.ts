/** The logger of the command line: everything goes to standard error, progress only where that is a terminal. */
import picocolors from 'picocolors';
import type { Logger } from '../log.js';
import { formatBytes, formatPercent } from './format.js';

export interface LogOptions {
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Redrawing more often than the eye follows costs time. */
const REDRAW_MS = 100;
const CLEAR_LINE = '\r\x1b[K';

export function terminalLogger({ quiet = false, verbose = false }: LogOptions): Logger {
  const stderr = process.stderr;
  const showsProgress = stderr.isTTY === true && !quiet;
  let drawn = false;
  let drawnAt = 0;
  const line = (text: string) => {
    stderr.write(`${drawn ? CLEAR_LINE : ''}${text}\n`);
    drawn = false;
  };
  return {
    warn: (message) => {
      if (!quiet) line(`${picocolors.yellow('warning:')} ${message}`);
    },
    info: (message) => {
      if (verbose && !quiet) line(picocolors.dim(message));
    },
    progress: (what, done, total) => {
      if (!showsProgress) return;
      const finished = done >= total;
      if (!finished && performance.now() - drawnAt < REDRAW_MS) return;
      drawnAt = performance.now();
      const amount = `${formatPercent(done, total).padStart(7)}  ${formatBytes(done)} of ${formatBytes(total)}`;
      stderr.write(finished ? CLEAR_LINE : `${CLEAR_LINE}${what} ${amount}`);
      drawn = !finished;
    },
  };
}
