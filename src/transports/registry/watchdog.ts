/** Ends a wait for the network that takes too long, and tells the user about it before. */

export interface WatchdogSettings {
  /** The longest time without any transferred byte. The whole transfer may take any time. */
  readonly stallTimeoutMs: number;
  /** The time without any transferred byte after which `onSilence` is called. */
  readonly noticeMs: number;
  /** @param timeoutMs the time after which the wait ends */
  readonly onSilence: (timeoutMs: number) => void;
}

/** Calls `onExpiry` with an error unless it is stopped or started again in time. */
export class Watchdog {
  readonly #settings: WatchdogSettings;
  readonly #onExpiry: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: WatchdogSettings, onExpiry: (error: Error) => void) {
    this.#settings = settings;
    this.#onExpiry = onExpiry;
  }

  /** @param factor multiplies the timeout */
  start(factor = 1): void {
    this.stop();
    const { stallTimeoutMs, noticeMs, onSilence } = this.#settings;
    const timeoutMs = stallTimeoutMs * factor;
    const expire = () => this.#onExpiry(timeoutError(`nothing happened for ${timeoutMs / 1000} s`));
    if (timeoutMs <= noticeMs) {
      this.#timer = setTimeout(expire, timeoutMs);
      return;
    }
    this.#timer = setTimeout(() => {
      onSilence(timeoutMs);
      this.#timer = setTimeout(expire, timeoutMs - noticeMs);
    }, noticeMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Returns an error with the code that the operating system gives to such a failure. */
export function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}
