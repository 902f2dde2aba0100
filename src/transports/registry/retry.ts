/** Repeats requests that failed for a reason that may pass. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../log.js';
import { RequestError } from './request-error.js';

/** How often one request is repeated, or one blob whose transfer makes no progress. */
export const DEFAULT_RETRIES = 5;
/** The wait before the first retry; each further one takes twice as long. */
const FIRST_DELAY_MS = 250;
/**
 * The longest wait that a registry may ask for. If it asks for more, the failure is final, and the
 * user decides when to try again.
 */
const MAX_RETRY_AFTER_SECONDS = 120;
/** Bytes of progress after which the retry counter is reset. */
const MIN_PROGRESS = 1 << 20;

export interface RetryPolicy extends Context {
  /** How often the same work is repeated. */
  readonly retries: number;
}

/**
 * Repeats `attempt` until it succeeds and returns its result. Throws its error if the error is not
 * temporary or if too many attempts have failed.
 * @param recover runs before each repetition; what it throws is final
 */
export async function retry<T>(
  policy: RetryPolicy,
  attempt: () => Promise<T>,
  recover: (counter: RetryCounter) => Promise<void> = async () => {},
): Promise<T> {
  const counter = new RetryCounter(policy);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await counter.wait(error);
    }
    await recover(counter);
  }
}

/**
 * Yields a stream of bytes that may break off. `open` is called with the number of bytes that have
 * arrived and returns a stream of the remaining ones, which must throw if it ends too early.
 */
export async function* retryStream(
  policy: RetryPolicy,
  open: (start: number) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const counter = new RetryCounter(policy);
  let received = 0;
  for (;;) {
    try {
      for await (const chunk of open(received)) {
        received += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      counter.reportProgress(received);
      await counter.wait(error);
    }
  }
}

/** Counts the failures of one piece of work. */
export class RetryCounter {
  readonly #policy: RetryPolicy;
  #failures = 0;
  /** The position at which the counter was last reset. */
  #furthest = 0;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /** Waits before the next attempt; throws `error` if another attempt is useless. */
  async wait(error: unknown): Promise<void> {
    const { retries, log, signal } = this.#policy;
    if (!isWorthRetrying(error) || this.#failures >= retries) {
      throw error;
    }

    const delayMs = this.#delayMs(error);
    this.#failures++;
    const seconds = (delayMs / 1000).toFixed(1);
    log.info(`${error.message}; trying again in ${seconds} s (${this.#failures} of ${retries})`);
    await sleep(delayMs, undefined, { signal });
  }

  /** Forgets all failures if the work has advanced enough. `position` is counted in bytes. */
  reportProgress(position: number): void {
    if (position - this.#furthest >= MIN_PROGRESS) {
      this.#furthest = position;
      this.#failures = 0;
    }
  }

  #delayMs({ retryAfterSeconds }: RequestError): number {
    if (retryAfterSeconds !== undefined) {
      return retryAfterSeconds * 1000;
    }
    // The random factor keeps clients that failed at the same time from all trying again at the
    // same time.
    return FIRST_DELAY_MS * 2 ** this.#failures * (0.5 + Math.random());
  }
}

function isWorthRetrying(error: unknown): error is RequestError {
  return (
    error instanceof RequestError &&
    error.isTemporary &&
    (error.retryAfterSeconds ?? 0) <= MAX_RETRY_AFTER_SECONDS
  );
}
