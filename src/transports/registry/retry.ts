/** When to try again, and when to give up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log.js';
import { RequestError } from './errors.js';

/** Of one request, or of one blob that gets no further. */
export const DEFAULT_RETRIES = 5;
/** Before the first retry, in milliseconds; doubled with each. */
const FIRST_DELAY = 250;
/** What a registry may ask for; above that, waiting is for the user to decide. In seconds. */
const MAX_RETRY_AFTER = 120;

export interface RetryPolicy {
  readonly retries: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Counts the failures of one piece of work. */
export class Retries {
  readonly #policy: RetryPolicy;
  #failures = 0;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /** Waits before the next try; throws `error` where another is of no use. */
  async after(error: unknown): Promise<void> {
    const { retries, log, signal } = this.#policy;
    if (!(error instanceof RequestError && error.isTemporary) || this.#failures >= retries) {
      throw error;
    }
    if ((error.retryAfter ?? 0) > MAX_RETRY_AFTER) {
      throw error;
    }
    // Clients that failed together must not come back together.
    const backoff = FIRST_DELAY * 2 ** this.#failures * (0.5 + Math.random());
    const delay = error.retryAfter === undefined ? backoff : error.retryAfter * 1000;
    this.#failures++;
    log.info(
      `${error.message}; trying again in ${(delay / 1000).toFixed(1)} s (${this.#failures} of ${retries})`,
    );
    await sleep(delay, undefined, { signal });
  }

  /** The work got on: what failed before does not count any more. */
  reset(): void {
    this.#failures = 0;
  }
}
