/** What is known of all long work that goes on, from the events that the library reports. */
import type { ProgressEvent, ProgressPart } from '../../log.js';

/** The time over which a rate is measured: it follows changes, and does not jump. */
const RATE_WINDOW_MS = 10_000;
/** A rate that was measured over less time than this means nothing. */
const LEAST_RATE_MS = 1000;
/** Samples closer than this tell nothing new. */
const SAMPLE_MS = 100;

/** A piece of long work, and those of its parts that have begun and not ended. */
export interface WorkState {
  /** The last event, which has the numbers of the work. */
  readonly last: ProgressEvent;
  readonly startMs: number;
  readonly rate: Rate;
  /** By id, in the order in which they began. */
  readonly parts: ReadonlyMap<string, ProgressPart>;
}

/** The work that goes on, by its name, in the order in which it began. */
export class ProgressState {
  readonly #works = new Map<string, WorkState>();

  get works(): readonly WorkState[] {
    return [...this.#works.values()];
  }

  /** Returns the work that the event is about, also if that has ended. */
  apply(event: ProgressEvent, nowMs: number): WorkState {
    const { work, part, done } = event;
    const isNew = event.event === 'start' && part === undefined;
    const known = isNew ? undefined : this.#works.get(work);
    const parts = new Map(known?.parts);
    if (part !== undefined) {
      setPart(parts, part, event.event === 'end');
    }
    const rate = known?.rate ?? new Rate();
    rate.sample(done, nowMs);
    const state = { last: event, startMs: known?.startMs ?? nowMs, rate, parts };

    if (event.event === 'end' && part === undefined) {
      this.#works.delete(work);
    } else {
      this.#works.set(work, state);
    }
    return state;
  }
}

function setPart(parts: Map<string, ProgressPart>, part: ProgressPart, hasEnded: boolean): void {
  if (hasEnded) {
    parts.delete(part.id);
  } else {
    parts.set(part.id, part);
  }
}

/** How fast work goes on, over the last seconds. */
export class Rate {
  readonly #samples: { readonly done: number; readonly ms: number }[] = [];

  sample(done: number, ms: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && ms - last.ms < SAMPLE_MS) {
      return;
    }
    this.#samples.push({ done, ms });
    const [, second] = this.#samples;
    if (second !== undefined && ms - second.ms >= RATE_WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Returns how much is done in a second; undefined before that can be told. */
  perSecond(done: number, ms: number): number | undefined {
    const first = this.#samples[0] ?? { done, ms };
    const elapsedMs = ms - first.ms;
    const change = done - first.done;
    return elapsedMs >= LEAST_RATE_MS && change > 0 ? (change * 1000) / elapsedMs : undefined;
  }
}
