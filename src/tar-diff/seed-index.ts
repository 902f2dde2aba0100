/** Finds places of a file by eight bytes that are there. */

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
  readonly #bytes: Uint8Array;
  readonly #candidates: number;
  readonly #distance: number;
  /** How far a hash is shifted to give the number of a bucket. */
  readonly #shift: number;
  /** For each bucket the first place in it, counted from 1; 0 if it is empty. */
  readonly #first: Int32Array;
  /** For each place the next one in its bucket. */
  readonly #next: Int32Array;

  constructor(bytes: Uint8Array, { seedDistance, candidates }: SearchEffort) {
    this.#bytes = bytes;
    this.#candidates = candidates;
    this.#distance = Math.max(seedDistance, Math.ceil(bytes.length / MAX_PLACES));
    const seeds = Math.max(bytes.length - SEED_SIZE + 1, 0);
    const count = Math.ceil(seeds / this.#distance);
    const bucketsLog = Math.max(Math.ceil(Math.log2(count + 1)), MIN_BUCKETS_LOG);
    this.#shift = 32 - bucketsLog;
    this.#first = new Int32Array(2 ** bucketsLog);
    this.#next = new Int32Array(count + 1);
    // Backwards, so that the first places of the file are the first of their buckets.
    for (let place = count; place > 0; place--) {
      const bucket = hashAt(bytes, (place - 1) * this.#distance) >>> this.#shift;
      this.#next[place] = this.#first[bucket] ?? 0;
      this.#first[bucket] = place;
    }
  }

  /** Returns the longest of some stretches that are equal to the bytes of `other` at `at`. */
  longestMatch(other: Uint8Array, at: number): SeedMatch {
    if (at + SEED_SIZE > other.length) {
      return NO_MATCH;
    }
    let position = 0;
    let length = 0;
    let place = this.#first[hashAt(other, at) >>> this.#shift] ?? 0;
    for (let left = this.#candidates; place > 0 && left > 0; left--) {
      const start = (place - 1) * this.#distance;
      const equal = this.#equalLength(start, other, at);
      if (equal > length) {
        position = start;
        length = equal;
      }
      place = this.#next[place] ?? 0;
    }
    return { position, length };
  }

  #equalLength(start: number, other: Uint8Array, at: number): number {
    const bytes = this.#bytes;
    const limit = Math.min(bytes.length - start, other.length - at);
    let length = 0;
    while (length < limit && bytes[start + length] === other[at + length]) {
      length++;
    }
    return length;
  }
}

/** Returns a hash of eight bytes, 32 bits. */
function hashAt(bytes: Uint8Array, at: number): number {
  const low = wordAt(bytes, at);
  const high = wordAt(bytes, at + 4);
  const mixed = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77);
  return Math.imul(mixed ^ (mixed >>> 15), 0x27d4eb2f);
}

/** Returns four bytes as a number; there must be as many. */
function wordAt(bytes: Uint8Array, at: number): number {
  const a = bytes[at] ?? 0;
  const b = bytes[at + 1] ?? 0;
  const c = bytes[at + 2] ?? 0;
  const d = bytes[at + 3] ?? 0;
  return a | (b << 8) | (c << 16) | (d << 24);
}
