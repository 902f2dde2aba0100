import { OstrataError } from '../errors.js';

/**
 * A bounds-checked reader over bytes, the only one of the project. Every read past the end is a
 * `CORRUPT` error that names what was read, where, and how many bytes there are.
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

  /** A `CORRUPT` error at the current (or the given) offset. */
  error(rule: string, offset = this.offset): OstrataError {
    return new OstrataError('CORRUPT', `${this.#what}: ${rule} (offset ${offset})`);
  }

  /** Fails unless there are `length` more bytes. */
  #require(length: number): void {
    const at = this.offset;
    if (!(length >= 0) || at < 0 || at + length > this.bytes.length) {
      throw this.error(
        `needs ${length} bytes, has ${Math.max(0, this.bytes.length - at)} of ${this.bytes.length}`,
      );
    }
  }
  #advance(length: number): number {
    this.#require(length);
    const at = this.offset;
    this.offset = at + length;
    return at;
  }

  // By hand: a DataView takes longer to make than a cursor's few numbers to read.
  u8(): number {
    return this.bytes[this.#advance(1)] as number;
  }
  u16(littleEndian = false): number {
    const at = this.#advance(2);
    const [a, b] = [this.bytes[at] as number, this.bytes[at + 1] as number];
    return littleEndian ? a | (b << 8) : (a << 8) | b;
  }
  u32(littleEndian = false): number {
    this.#require(4);
    const [a, b] = [this.u16(littleEndian), this.u16(littleEndian)];
    return littleEndian ? a + b * 0x10000 : a * 0x10000 + b;
  }
  u64(littleEndian = false): bigint {
    this.#require(8);
    const [a, b] = [BigInt(this.u32(littleEndian)), BigInt(this.u32(littleEndian))];
    return littleEndian ? a | (b << 32n) : (a << 32n) | b;
  }

  /** A view (no copy) of the next `length` bytes. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** The bytes up to the next NUL, which is consumed too. */
  untilNul(): Uint8Array {
    const end = this.bytes.indexOf(0, this.offset);
    if (end < 0) {
      throw this.error('no terminating NUL');
    }
    const value = this.take(end - this.offset);
    this.offset++;
    return value;
  }

  seek(offset: number): this {
    if (!(offset >= 0) || offset > this.bytes.length) {
      throw this.error(`seek to ${offset} of ${this.bytes.length} bytes`);
    }
    this.offset = offset;
    return this;
  }
}
