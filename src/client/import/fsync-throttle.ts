/**
 * When an import waits for the disk. Once for several layers is much faster than once for each; what is staged and not yet
 * in the repository is fetched again after a kill.
 */

/** Compressed bytes of layers that are fetched before the next wait. */
const SYNC_SIZE = 32 << 20;
/** Or as soon as so much time has passed: a pull that is killed again and again gets on. */
const SYNC_PAUSE_MS = 250;
/** The pause is so many times what the last wait took, if that is longer: on a slow disk waiting stays a small part. */
const PAUSE_FACTOR = 4;

export class FsyncThrottle {
  readonly #now: () => number;
  #size = 0;
  #ended: number;
  #took = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#ended = now();
  }

  /** Counts a layer; true where it should not have to wait for more. */
  isDue(size: number): boolean {
    this.#size += size;
    const pause = Math.max(SYNC_PAUSE_MS, PAUSE_FACTOR * this.#took);
    return this.#size >= SYNC_SIZE || this.#now() - this.#ended >= pause;
  }

  /** Runs `body`, which takes all layers that were counted, and waits for the disk. */
  sync(body: () => void): void {
    const start = this.#now();
    this.#size = 0;
    body();
    this.#ended = this.#now();
    this.#took = this.#ended - start;
  }
}
