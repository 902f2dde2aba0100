/** The operations that make a file out of an open file of the old image, with bytes changed. */
import { findStretches, type Stretch } from './byte-diff.js';
import { encodeAddData, encodeCopy, encodeData, encodeSeek } from './operations.js';
import type { SearchEffort } from './seed-index.js';

/** Operations on an open file whose position is 0. */
export interface Edits {
  readonly operations: Uint8Array;
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
  readonly #old: Uint8Array;
  readonly #new: Uint8Array;
  readonly #parts: Uint8Array[] = [];
  /** The position in the new file and that in the old one. */
  #newAt = 0;
  #oldAt = 0;
  #added = 0;

  constructor(oldBytes: Uint8Array, newBytes: Uint8Array) {
    this.#old = oldBytes;
    this.#new = newBytes;
  }

  addStretch({ newStart, oldStart, size }: Stretch): void {
    this.#addData(newStart);
    if (this.#oldAt !== oldStart) {
      this.#parts.push(encodeSeek(oldStart));
    }
    const differences = this.#differences(newStart, oldStart, size);
    this.#addDifferences(differences);
    this.#newAt = newStart + size;
    this.#oldAt = oldStart + size;
  }

  end(): Edits {
    this.#addData(this.#new.length);
    return { operations: Buffer.concat(this.#parts), added: this.#added };
  }

  /** Adds what lies before a stretch. */
  #addData(end: number): void {
    const data = this.#new.subarray(this.#newAt, end);
    if (data.length > 0) {
      this.#parts.push(encodeData(data.length), data);
      this.#added += data.length;
    }
  }

  #differences(newStart: number, oldStart: number, size: number): Uint8Array {
    const differences = new Uint8Array(size);
    for (let at = 0; at < size; at++) {
      const oldByte = this.#old[oldStart + at] ?? 0;
      const newByte = this.#new[newStart + at] ?? 0;
      differences[at] = newByte - oldByte; // modulo 256
    }
    return differences;
  }

  #addDifferences(differences: Uint8Array): void {
    let start = 0;
    for (let at = 0; at < differences.length; ) {
      const zeros = countZeros(differences, at);
      if (zeros >= MIN_COPY_SIZE) {
        this.#addChanges(differences.subarray(start, at));
        this.#parts.push(encodeCopy(zeros));
        start = at + zeros;
      }
      at += Math.max(zeros, 1);
    }
    this.#addChanges(differences.subarray(start));
  }

  #addChanges(differences: Uint8Array): void {
    if (differences.length > 0) {
      this.#parts.push(encodeAddData(differences.length), differences);
    }
  }
}

function countZeros(bytes: Uint8Array, start: number): number {
  let end = start;
  while (bytes[end] === 0) {
    end++;
  }
  return end - start;
}
