/** The logger that library code reports to, and the context that long operations are given. */

/**
 * Where library code reports to, since it never prints. Every method must return quickly and must
 * not throw.
 */
export interface Logger {
  /** Something the user did not ask for was done or ignored; the result is still valid. */
  warn(message: string): void;
  /** A step of interest to a user who asked for `--verbose`. */
  info(message: string): void;
  /**
   * `done` of `total` units of long work, such as bytes, are done. `what` is a gerund phrase that
   * stays the same for one piece of work.
   */
  progress(what: string, done: number, total: number): void;
}

export const silentLogger: Logger = { warn() {}, info() {}, progress() {} };

/** What every long-running operation is given: where to report to, and what cancels it. */
export interface Context {
  readonly log: Logger;
  /** Ends the operation with `CANCELLED`. */
  readonly signal: AbortSignal;
}
