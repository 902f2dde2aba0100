/**
 * Decides when an import waits until layers are on the disk. One wait for several layers is much
 * faster than one for each; but layers that wait are fetched again if the process is killed.
 */

/** Compressed size of layers after which an import waits. */
const SYNC_SIZE = 32 << 20;
/**
 * Time after which it waits in any case, so that pulls that are killed again and again progress.
 */
const SYNC_PAUSE_MS = 250;
/**
 * The pause between waits is at least this many times the last wait: a slow disk is waited for less
 * often.
 */
const PAUSE_FACTOR = 4;

/** Counts layers that wait for the disk, and the time since the last wait. */
export class FsyncThrottle {
  readonly #now: () => number;
  #waitingSize = 0;
  #lastEndMs: number;
  #lastWaitMs = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#lastEndMs = now();
  }

  /** Counts a layer; returns whether it is time for {@link sync}. */
  isDue(size: number): boolean {
    this.#waitingSize += size;
    const pauseMs = Math.max(SYNC_PAUSE_MS, PAUSE_FACTOR * this.#lastWaitMs);
    return this.#waitingSize >= SYNC_SIZE || this.#now() - this.#lastEndMs >= pauseMs;
  }

  /** Runs `body`, which publishes all layers that were counted, and measures how long it waits. */
  sync(body: () => void): void {
    const start = this.#now();
    this.#waitingSize = 0;
    body();
    this.#lastEndMs = this.#now();
    this.#lastWaitMs = this.#lastEndMs - start;
  }
}
