/** At most `limit` bodies at a time, in the order they were given. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  async run<T>(body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await body();
    } finally {
      const next = this.#waiting.shift();
      // The place goes on to who waited longest.
      if (next) {
        next();
      } else {
        this.#free++;
      }
    }
  }
}
