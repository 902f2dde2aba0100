/**
 * Finds which stretches of a file were made from which stretches of another, with single bytes
 * changed in between. In programs and kernel modules, most of what changes is addresses: code that
 * moved calls the same functions at other distances. The difference of two such stretches, byte by
 * byte, is nearly all zeros and repeats itself, so that it compresses far better than the bytes.
 *
 * The idea is that of bsdiff (https://www.daemonology.net/papers/bsdiff.pdf). Instead of sorting
 * all suffixes of the old file, which takes a minute for the modules of a kernel, it finds equal
 * bytes by a hash of eight of them.
 */
import { type SearchEffort, SeedIndex } from './seed-index.js';
import { equalBytes, equalRun, wordsOf } from './words.js';

/** Bytes of the new file that correspond to as many bytes of the old one, most of them equal. */
export interface Stretch {
  readonly newStart: number;
  readonly oldStart: number;
  readonly size: number;
}

/** So many equal bytes in a row continue a stretch, without a search for a better one. */
const LONG_RUN = 16;
/** A stretch also continues if at least WINDOW_EQUAL of the next WINDOW_SIZE bytes are equal. */
const WINDOW_SIZE = 32;
const WINDOW_EQUAL = 24;
/** A stretch begins where so many more bytes are equal than if the one before went on. */
const MIN_GAIN = 8;

/**
 * Returns the stretches by their start in the new file; they do not overlap there. What lies
 * between them is like nothing in the old file. The same files give the same stretches.
 */
export function findStretches(
  oldBytes: Uint8Array,
  newBytes: Uint8Array,
  effort: SearchEffort,
): readonly Stretch[] {
  return new StretchFinder(oldBytes, newBytes, effort).find();
}

/** A place in both files. */
interface Place {
  readonly newAt: number;
  readonly oldAt: number;
}

class StretchFinder {
  readonly #old: DataView;
  readonly #new: DataView;
  readonly #index: SeedIndex;

  constructor(oldBytes: Uint8Array, newBytes: Uint8Array, effort: SearchEffort) {
    this.#old = wordsOf(oldBytes);
    this.#new = wordsOf(newBytes);
    this.#index = new SeedIndex(this.#old, effort);
  }

  find(): readonly Stretch[] {
    const stretches: Stretch[] = [];
    let begin: Place = { newAt: 0, oldAt: 0 };
    let searched = 0;
    while (begin.newAt < this.#new.byteLength) {
      const next = this.#nextPlace(searched, begin.oldAt - begin.newAt);
      const limit = next?.newAt ?? this.#new.byteLength;
      const size = this.#sizeForward(begin, limit);
      if (next === undefined) {
        stretches.push({ newStart: begin.newAt, oldStart: begin.oldAt, size });
        break;
      }
      const back = this.#sizeBackward(next, begin.newAt);
      const start = this.#division(begin, next, { size, back });
      const end = Math.min(begin.newAt + size, start);
      stretches.push({ newStart: begin.newAt, oldStart: begin.oldAt, size: end - begin.newAt });
      begin = { newAt: start, oldAt: next.oldAt - (next.newAt - start) };
      // Not from its start: what was decided about the bytes before is not decided again.
      searched = next.newAt + 1;
    }
    return stretches.filter(({ size }) => size > 0);
  }

  /** Returns the first place where another stretch is better than the one at this distance. */
  #nextPlace(newAt: number, distance: number): Place | undefined {
    const end = this.#new.byteLength;
    for (let at = newAt; at < end; ) {
      const run = this.#runAt(at, at + distance);
      const kept = run >= LONG_RUN ? run : this.#keptBytes(at, at + distance);
      if (kept > 0) {
        at += kept;
        continue;
      }
      const { position, length } = this.#index.longestMatch(this.#new, at);
      const isBetter = length > run + MIN_GAIN;
      if (isBetter && length > this.#equalBytes(at, distance, length) + MIN_GAIN) {
        return { newAt: at, oldAt: position };
      }
      at += Math.max(run, 1);
    }
    return undefined;
  }

  /** Returns how many bytes are equal before the first that is not. */
  #runAt(newAt: number, oldAt: number): number {
    if (oldAt < 0) {
      return 0;
    }
    const limit = Math.min(this.#new.byteLength - newAt, this.#old.byteLength - oldAt);
    return equalRun(this.#new, newAt, this.#old, oldAt, limit);
  }

  /** Returns the size of the window if most bytes in it are equal, or 0. */
  #keptBytes(newAt: number, oldAt: number): number {
    const hasWindow =
      oldAt >= 0 &&
      oldAt + WINDOW_SIZE <= this.#old.byteLength &&
      newAt + WINDOW_SIZE <= this.#new.byteLength;
    if (!hasWindow) {
      return 0;
    }
    const equal = this.#equalBytes(newAt, oldAt - newAt, WINDOW_SIZE);
    return equal >= WINDOW_EQUAL ? WINDOW_SIZE : 0;
  }

  /** Returns how many bytes are equal to those of the old file at some distance. */
  #equalBytes(newAt: number, distance: number, size: number): number {
    const start = Math.max(newAt, -distance);
    const end = Math.min(newAt + size, this.#old.byteLength - distance);
    return equalBytes(this.#new, start, this.#old, start + distance, end - start);
  }

  /** Returns how far the stretch goes: to where twice the equal bytes exceed all by the most. */
  #sizeForward({ newAt, oldAt }: Place, newEnd: number): number {
    const limit = Math.min(newEnd - newAt, this.#old.byteLength - oldAt);
    let size = 0;
    let score = 0;
    let best = 0;
    const newWords = this.#new;
    const oldWords = this.#old;
    for (let at = 0; at < limit; ) {
      const run = equalRun(newWords, newAt + at, oldWords, oldAt + at, limit - at);
      at += run;
      score += run;
      if (score > best) {
        best = score;
        size = at;
      }
      at++;
      score--;
    }
    return size;
  }

  /** Returns how many bytes before the place belong to its stretch, in the same way. */
  #sizeBackward({ newAt, oldAt }: Place, newStart: number): number {
    const limit = Math.min(newAt - newStart, oldAt);
    let size = 0;
    let score = 0;
    let best = 0;
    for (let at = 1; at <= limit; at++) {
      const isEqual = this.#new.getUint8(newAt - at) === this.#old.getUint8(oldAt - at);
      score += isEqual ? 1 : -1;
      if (score > best) {
        best = score;
        size = at;
      }
    }
    return size;
  }

  /** Returns where the next stretch begins; where both reach, each gets what it is better for. */
  #division(begin: Place, next: Place, { size, back }: { size: number; back: number }): number {
    const first = next.newAt - back;
    const end = begin.newAt + size;
    const oldDistance = begin.oldAt - begin.newAt;
    const newDistance = next.oldAt - next.newAt;
    let start = first;
    let score = 0;
    let best = 0;
    for (let at = first; at < end; at++) {
      const byte = this.#new.getUint8(at);
      score += byte === this.#old.getUint8(at + oldDistance) ? 1 : 0;
      score -= byte === this.#old.getUint8(at + newDistance) ? 1 : 0;
      if (score > best) {
        best = score;
        start = at + 1;
      }
    }
    return start;
  }
}
