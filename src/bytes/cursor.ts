/** Reads numbers and byte strings one after the other, and never beyond the end of the input. */
import { OstrataError } from '../errors.js';

/**
 * A bounds-checked reader over bytes, used by all parsers of the project. Every read past the end
 * is a `CORRUPT` error that names the input, the offset and both sizes.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  offset: number;
  readonly #what: string;

  /** @param what names the input in errors, e.g. `rpm header` */
  constructor(bytes: Uint8Array, what: string, offset = 0) {
    this.bytes = bytes;
    this.#what = what;
    this.offset = offset;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /**
   * Returns a `CORRUPT` error that names the broken rule and an offset, by default the current one.
   */
  error(rule: string, offset = this.offset): OstrataError {
    return new OstrataError('CORRUPT', `${this.#what}: ${rule} (offset ${offset})`);
  }

  // Numbers are put together by hand: making a DataView takes longer than reading a few numbers.

  u8(): number {
    return this.#byte(this.#advance(1));
  }

  u16(littleEndian = false): number {
    const at = this.#advance(2);
    const first = this.#byte(at);
    const second = this.#byte(at + 1);
    return littleEndian ? first | (second << 8) : (first << 8) | second;
  }

  u32(littleEndian = false): number {
    this.#require(4);
    const first = this.u16(littleEndian);
    const second = this.u16(littleEndian);
    return littleEndian ? first + second * 0x10000 : first * 0x10000 + second;
  }

  u64(littleEndian = false): bigint {
    this.#require(8);
    const first = BigInt(this.u32(littleEndian));
    const second = BigInt(this.u32(littleEndian));
    return littleEndian ? first | (second << 32n) : (first << 32n) | second;
  }

  /** Returns a view, not a copy, of the next `length` bytes. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Returns a view of the bytes before the next NUL, and skips the NUL. */
  untilNul(): Uint8Array {
    const end = this.bytes.indexOf(0, this.offset);
    if (end < 0) {
      throw this.error('no terminating NUL');
    }
    const value = this.take(end - this.offset);
    this.offset++;
    return value;
  }

  /** Moves to `offset`. Throws `CORRUPT` if it is beyond the end. */
  seek(offset: number): this {
    if (!(offset >= 0) || offset > this.bytes.length) {
      throw this.error(`seek to ${offset} of ${this.bytes.length} bytes`);
    }
    this.offset = offset;
    return this;
  }

  /**
   * Throws `CORRUPT` unless `length` more bytes are there. The negated comparison also refuses NaN.
   */
  #require(length: number): void {
    const at = this.offset;
    const size = this.bytes.length;
    if (!(length >= 0) || at < 0 || at + length > size) {
      throw this.error(`needs ${length} bytes, has ${Math.max(0, size - at)} of ${size}`);
    }
  }

  /** Skips `length` bytes and returns the offset before them. */
  #advance(length: number): number {
    this.#require(length);
    const at = this.offset;
    this.offset = at + length;
    return at;
  }

  /** The byte at an offset whose bounds were checked. */
  #byte(at: number): number {
    return this.bytes[at] ?? 0;
  }
}
