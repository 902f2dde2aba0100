/**
 * The last lines of a terminal, which show progress and are drawn again and again. The cursor stays
 * visible, at the beginning of the line below them: so a process that is killed at any moment
 * leaves a terminal that is fit for use.
 */
import type { OutputStream } from './width.js';
import { textWidth } from './width.js';

const CLEAR_LINE_END = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

/** Where progress goes: standard error, or what a test reads. */
export interface ProgressOutput extends OutputStream {
  write(text: string): unknown;
}

export class LiveRegion {
  readonly #output: ProgressOutput;
  #lines: readonly string[] = [];
  #isClosed = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** Shows these lines in place of the last ones. */
  draw(lines: readonly string[]): void {
    if (this.#isClosed || (lines.length === 0 && this.#lines.length === 0)) {
      return;
    }
    const drawn = lines.map((line) => `${line}${CLEAR_LINE_END}\n`);
    this.#output.write(`${this.#toStart()}${drawn.join('')}${CLEAR_BELOW}`);
    this.#lines = lines;
  }

  /** Lets `write` print whole lines, which appear above the region. */
  above<T>(write: () => T): T {
    const lines = this.#lines;
    this.draw([]);
    const result = write();
    this.draw(lines);
    return result;
  }

  /** Removes the lines. Nothing is drawn any more. */
  close(): void {
    this.draw([]);
    this.#isClosed = true;
  }

  /** Moves to the first row, also if the terminal has become narrower and broken the lines. */
  #toStart(): string {
    // A terminal without a window says that it has 0 columns.
    const columns = this.#output.columns || Infinity;
    let rows = 0;
    for (const line of this.#lines) {
      rows += Math.max(1, Math.ceil(textWidth(line) / columns));
    }
    return rows > 0 ? `\x1b[${rows}A\r` : '';
  }
}

/** The region of standard error, above which everything is printed. */
export const liveRegion = new LiveRegion(process.stderr);
