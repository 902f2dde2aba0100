/** Finds places of a file by eight bytes that are there. */
import { equalRun } from './words.js';

const SEED_SIZE = 8;
/** Limit for the places that are kept; of a larger file, fewer can be found. */
const MAX_PLACES = 1 << 23;
const MIN_BUCKETS_LOG = 10;

/** How much work the search for equal bytes may be. */
export interface SearchEffort {
  /** Every so many bytes of the old file can be found. */
  readonly seedDistance: number;
  /** Most places of the old file that are compared with one of the new file. */
  readonly candidates: number;
}

export interface SeedMatch {
  readonly position: number;
  readonly length: number;
}

const NO_MATCH: SeedMatch = { position: 0, length: 0 };

/** Memory is at most 64 MiB beside the file. */
export class SeedIndex {
  readonly #words: DataView;
  readonly #candidates: number;
  readonly #distance: number;
  /** How far a hash is shifted to give the number of a bucket. */
  readonly #shift: number;
  /** For each bucket the first place in it, counted from 1; 0 if it is empty. */
  readonly #first: Int32Array;
  /** For each place the next one in its bucket. */
  readonly #next: Int32Array;

  constructor(words: DataView, { seedDistance, candidates }: SearchEffort) {
    const { byteLength } = words;
    this.#words = words;
    this.#candidates = candidates;
    this.#distance = Math.max(seedDistance, Math.ceil(byteLength / MAX_PLACES));
    const seeds = Math.max(byteLength - SEED_SIZE + 1, 0);
    const count = Math.ceil(seeds / this.#distance);
    const bucketsLog = Math.max(Math.ceil(Math.log2(count + 1)), MIN_BUCKETS_LOG);
    this.#shift = 32 - bucketsLog;
    this.#first = new Int32Array(2 ** bucketsLog);
    this.#next = new Int32Array(count + 1);
    this.#fill(count);
  }

  /** Variables instead of members make this twice as fast, and it is a third of all work. */
  #fill(count: number): void {
    const words = this.#words;
    const distance = this.#distance;
    const shift = this.#shift;
    const first = this.#first;
    const next = this.#next;
    // Backwards, so that the first places of the file are the first of their buckets.
    for (let place = count; place > 0; place--) {
      const bucket = hashAt(words, (place - 1) * distance) >>> shift;
      next[place] = first[bucket] ?? 0;
      first[bucket] = place;
    }
  }

  /** Returns the longest of some stretches that are equal to the bytes of `other` at `at`. */
  longestMatch(other: DataView, at: number): SeedMatch {
    const words = this.#words;
    const rest = other.byteLength - at;
    if (rest < SEED_SIZE) {
      return NO_MATCH;
    }
    let position = 0;
    let length = 0;
    let place = this.#first[hashAt(other, at) >>> this.#shift] ?? 0;
    for (let left = this.#candidates; place > 0 && left > 0; left--) {
      const start = (place - 1) * this.#distance;
      const limit = Math.min(words.byteLength - start, rest);
      const equal = equalRun(words, start, other, at, limit);
      if (equal > length) {
        position = start;
        length = equal;
      }
      place = this.#next[place] ?? 0;
    }
    return { position, length };
  }
}

/** Returns a hash of eight bytes, 32 bits. */
function hashAt(words: DataView, at: number): number {
  const low = words.getInt32(at, true);
  const high = words.getInt32(at + 4, true);
  const mixed = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77);
  return Math.imul(mixed ^ (mixed >>> 15), 0x27d4eb2f);
}
