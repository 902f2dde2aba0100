/** How wide lines may be. */

/** What is known of a stream that may be a terminal. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/**
 * Returns the characters of a line: those of the environment variable COLUMNS, or those of the
 * terminal. Infinite for files and pipes.
 */
export function lineWidth({ isTTY = false, columns }: OutputStream): number {
  const { COLUMNS = '' } = process.env;
  if (/^[1-9]\d{0,3}$/.test(COLUMNS)) {
    return Number(COLUMNS);
  }
  return isTTY && columns ? columns : Infinity;
}
