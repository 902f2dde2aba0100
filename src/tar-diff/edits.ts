/** The operations that make a file out of an open file of the old image, with bytes changed. */
import { findStretches, type Stretch } from './byte-diff.js';
import { encodeAddData, encodeCopy, encodeData, encodeSeek } from './operations.js';
import type { SearchEffort } from './seed-index.js';
import { equalRun, wordsOf } from './words.js';

/** Operations on an open file whose position is 0. */
export interface Edits {
  /** In a buffer without anything else. */
  readonly operations: Uint8Array<ArrayBuffer>;
  /** Number of bytes that are like nothing in the old file. */
  readonly added: number;
}

/** From so many equal bytes on, an operation of their own is smaller and faster than zeros. */
const MIN_COPY_SIZE = 1024;

/** Returns operations that make `newBytes` from `oldBytes`; see {@link findStretches}. */
export function encodeEdits(
  oldBytes: Uint8Array,
  newBytes: Uint8Array,
  effort: SearchEffort,
): Edits {
  const encoder = new EditsEncoder(oldBytes, newBytes);
  for (const stretch of findStretches(oldBytes, newBytes, effort)) {
    encoder.addStretch(stretch);
  }
  return encoder.end();
}

class EditsEncoder {
  readonly #oldWords: DataView;
  readonly #newWords: DataView;
  readonly #new: Uint8Array;
  readonly #parts: Uint8Array[] = [];
  /** The position in the new file and that in the old one. */
  #newAt = 0;
  #oldAt = 0;
  #added = 0;

  constructor(oldBytes: Uint8Array, newBytes: Uint8Array) {
    this.#oldWords = wordsOf(oldBytes);
    this.#newWords = wordsOf(newBytes);
    this.#new = newBytes;
  }

  addStretch({ newStart, oldStart, size }: Stretch): void {
    this.#addData(newStart);
    if (this.#oldAt !== oldStart) {
      this.#parts.push(encodeSeek(oldStart));
    }
    this.#addChanges(newStart, oldStart, size);
    this.#newAt = newStart + size;
    this.#oldAt = oldStart + size;
  }

  end(): Edits {
    this.#addData(this.#new.length);
    return { operations: joined(this.#parts), added: this.#added };
  }

  /** Adds what lies before a stretch. */
  #addData(end: number): void {
    const data = this.#new.subarray(this.#newAt, end);
    if (data.length > 0) {
      this.#parts.push(encodeData(data.length), data);
      this.#added += data.length;
    }
  }

  /** Adds the bytes of a stretch: long runs of equal ones, and the differences of the others. */
  #addChanges(newStart: number, oldStart: number, size: number): void {
    const newWords = this.#newWords;
    const oldWords = this.#oldWords;
    let start = 0;
    for (let at = 0; at < size; ) {
      const run = equalRun(newWords, newStart + at, oldWords, oldStart + at, size - at);
      if (run >= MIN_COPY_SIZE) {
        this.#addDifferences(newStart + start, oldStart + start, at - start);
        this.#parts.push(encodeCopy(run));
        start = at + run;
      }
      at += Math.max(run, 1);
    }
    this.#addDifferences(newStart + start, oldStart + start, size - start);
  }

  #addDifferences(newStart: number, oldStart: number, size: number): void {
    if (size === 0) {
      return;
    }
    const newWords = this.#newWords;
    const oldWords = this.#oldWords;
    const differences = new Uint8Array(size);
    for (let at = 0; at < size; at++) {
      at += equalRun(newWords, newStart + at, oldWords, oldStart + at, size - at);
      if (at < size) {
        // Modulo 256.
        differences[at] = newWords.getUint8(newStart + at) - oldWords.getUint8(oldStart + at);
      }
    }
    this.#parts.push(encodeAddData(size), differences);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((total, { length }) => total + length, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
