/** Back-pressure between a sender and a receiver that says how much it took. */

/** Bounds how many bytes are on their way. */
export class CreditWindow {
  readonly #limit: number;
  #bytesOnTheWay = 0;
  #isClosed = false;
  #wake = () => {};

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Counts bytes that were sent; resolves when more may be sent, or when the window is closed. */
  async send(bytes: number): Promise<void> {
    this.#bytesOnTheWay += bytes;
    while (this.#bytesOnTheWay > this.#limit && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Counts bytes that the receiver took. */
  taken(bytes: number): void {
    this.#bytesOnTheWay -= bytes;
    this.#wake();
  }

  /** Ends the waiting of the sender: the receiver takes no more. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }
}
