/** Work that goes on in the background, a few pieces at a time, and what becomes of it. */
import { Semaphore } from '../transports/semaphore.js';

export class Background {
  readonly #semaphore: Semaphore;
  readonly #pieces: Promise<void>[] = [];
  /** Aborted with the first error. */
  readonly #failure = new AbortController();

  /** @param limit the pieces that run at the same time */
  constructor(limit: number) {
    this.#semaphore = new Semaphore(limit);
  }

  /** Starts a piece of work. Throws the error of an earlier piece that has failed. */
  start(body: () => Promise<void>): void {
    this.#failure.signal.throwIfAborted();
    const piece = this.#semaphore.run(async () => {
      this.#failure.signal.throwIfAborted();
      await body();
    });
    piece.catch((error) => this.#failure.abort(error));
    this.#pieces.push(piece);
  }

  /** Runs `body`, which may start work, and waits for all of it. Throws the first error. */
  async finish(body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      this.#failure.abort(error);
    }
    await Promise.allSettled(this.#pieces);
    this.#failure.signal.throwIfAborted();
  }
}
