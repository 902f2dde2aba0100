/**
 * The logger that library code reports to, the context that long operations are given, and how the
 * progress of long work is reported.
 */

/**
 * Where library code reports to, since it never prints. Every method must return quickly and must
 * not throw.
 */
export interface Logger {
  /** Something the user did not ask for was done or ignored; the result is still valid. */
  warn(message: string): void;
  /** A step of interest to a user who asked for `--verbose`. */
  info(message: string): void;
  /** Long work, or a part of it, begins, goes on or ends. {@link startWork} makes the events. */
  progress(event: ProgressEvent): void;
}

/**
 * Where a piece of long work stands. A piece of work that fails has no `end`, nor have its parts.
 */
export interface ProgressEvent {
  /** What happened to the work or, if there is a `part`, to that part of it. */
  readonly event: 'start' | 'advance' | 'end';
  /** A gerund phrase, such as `fetching layers`; no two pieces at the same time have the same. */
  readonly work: string;
  /** What `done` and `total` count: `bytes`, or a noun in the plural such as `packages`. */
  readonly unit: string;
  /** Never more than `total`, but it may become less, when an upload has to begin again. */
  readonly done: number;
  /** Undefined if it is not known. It may change while the work goes on. */
  readonly total: number | undefined;
  readonly part?: ProgressPart | undefined;
}

/**
 * A part of long work, such as a layer. Several parts may be in work at the same time. One that
 * ends before all of it is done has failed, and may begin again.
 */
export interface ProgressPart {
  /** Differs from those of all other parts in work: the digest of a blob, the number of a layer. */
  readonly id: string;
  /** For people; it may come from an image, so it has to be escaped. */
  readonly name: string;
  readonly done: number;
  readonly total: number | undefined;
}

export const silentLogger: Logger = { warn() {}, info() {}, progress() {} };

/** What every long-running operation is given: where to report to, and what cancels it. */
export interface Context {
  readonly log: Logger;
  /** Ends the operation with `CANCELLED`. */
  readonly signal: AbortSignal;
}

/**
 * Reports that a piece of long work begins, and returns what reports how it goes on.
 * @param name a gerund phrase
 * @param total how much there is to do, if that is known
 * @param unit what is counted
 */
export function startWork(log: Logger, name: string, total?: number, unit = 'bytes'): Work {
  const work = new Work(log, name, total, unit);
  work.report('start');
  return work;
}

/** Reports that `body` is the piece of work `name`, of which it is not known how much is done. */
export async function duringWork<T>(
  log: Logger,
  name: string,
  body: () => T | Promise<T>,
): Promise<T> {
  const work = startWork(log, name);
  const result = await body();
  work.end();
  return result;
}

/** Long work that has begun. If it fails, it is left alone: only work that is done has an end. */
export class Work {
  readonly #log: Logger;
  readonly #name: string;
  readonly #unit: string;
  #done = 0;
  #total: number;
  #isTotalKnown: boolean;

  constructor(log: Logger, name: string, total: number | undefined, unit: string) {
    this.#log = log;
    this.#name = name;
    this.#unit = unit;
    this.#total = total ?? 0;
    this.#isTotalKnown = total !== undefined;
  }

  /** Changes how much there is to do by `change`; the next report tells, if the total is known. */
  expect(change: number): void {
    this.#total += change;
  }

  /** Makes what was expected so far the total, which was not known. */
  settleTotal(): void {
    this.#isTotalKnown = true;
    this.report('advance');
  }

  /** Reports that a part begins. Its `total` is a share of the whole. */
  startPart(id: string, name: string, total?: number): WorkPart {
    const part = new WorkPart(this, { id, name, done: 0, total });
    this.report('start', part.state);
    return part;
  }

  /** Reports that `count` more are done. */
  advance(count: number): void {
    this.add(count);
    this.report('advance');
  }

  end(): void {
    this.report('end');
  }

  /** Counts without a report. */
  add(count: number): void {
    this.#done += count;
  }

  report(event: ProgressEvent['event'], part?: ProgressPart): void {
    const total = this.#isTotalKnown ? this.#total : undefined;
    const done = Math.min(this.#done, total ?? Infinity);
    this.#log.progress({ event, work: this.#name, unit: this.#unit, done, total, part });
  }
}

/**
 * A part of long work that has begun. What it has done counts for the work. After its end it
 * reports nothing: a stream may still pass on a chunk when its reader has failed.
 */
export class WorkPart {
  readonly #work: Work;
  #state: ProgressPart;
  #hasEnded = false;

  constructor(work: Work, state: ProgressPart) {
    this.#work = work;
    this.#state = state;
  }

  get state(): ProgressPart {
    return this.#state;
  }

  /** Reports that `count` more are done. */
  advance(count: number): void {
    this.moveTo(this.#state.done + count);
  }

  /** Reports how much is done now. */
  moveTo(done: number): void {
    if (this.#hasEnded) {
      return;
    }
    this.#setDone(done);
    this.#work.report('advance', this.#state);
  }

  /** Reports that all of the part is done. */
  end(): void {
    const { done, total = done } = this.#state;
    this.#setDone(total);
    this.#end();
  }

  /** Reports that the rest of the part is left undone, and no longer a share of the whole. */
  abandon(): void {
    const { done, total = done } = this.#state;
    this.#work.expect(done - total);
    this.#end();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#work.report('end', this.#state);
  }

  #setDone(position: number): void {
    const done = Math.min(position, this.#state.total ?? Infinity);
    this.#work.add(done - this.#state.done);
    this.#state = { ...this.#state, done };
  }
}
