/** Limits how many asynchronous operations run at the same time. */

/** Runs at most `limit` operations at a time, in the order in which they were given. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `body` as soon as fewer than `limit` operations are running, and returns its result. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }

    try {
      return await body();
    } finally {
      this.#release();
    }
  }

  /** Lets the operation begin that has waited longest, if there is one. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next) {
      next();
    } else {
      this.#free++;
    }
  }
}
