import { OstrataError } from '../errors.js';

/**
 * A bounds-checked reader over bytes, the only one of the project. Every read past the end is a
 * `CORRUPT` error that names what was read, where, and how many bytes there are.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  offset: number;
  readonly #view: DataView;
  readonly #what: string;

  /** @param what names the input in errors, e.g. `rpm header` */
  constructor(bytes: Uint8Array, what: string, offset = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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

  #advance(length: number): number {
    const at = this.offset;
    if (!(length >= 0) || at < 0 || at + length > this.bytes.length)
      throw this.error(`needs ${length} bytes, has ${Math.max(0, this.bytes.length - at)} of ${this.bytes.length}`);
    this.offset = at + length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }
  u16(littleEndian = false): number {
    return this.#view.getUint16(this.#advance(2), littleEndian);
  }
  u32(littleEndian = false): number {
    return this.#view.getUint32(this.#advance(4), littleEndian);
  }
  u64(littleEndian = false): bigint {
    return this.#view.getBigUint64(this.#advance(8), littleEndian);
  }

  /** A view (no copy) of the next `length` bytes. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** The bytes up to the next NUL, which is consumed too. */
  untilNul(): Uint8Array {
    const end = this.bytes.indexOf(0, this.offset);
    if (end < 0) throw this.error('no terminating NUL');
    const value = this.take(end - this.offset);
    this.offset++;
    return value;
  }

  seek(offset: number): this {
    if (!(offset >= 0) || offset > this.bytes.length)
      throw this.error(`seek to ${offset} of ${this.bytes.length} bytes`);
    this.offset = offset;
    return this;
  }
}
