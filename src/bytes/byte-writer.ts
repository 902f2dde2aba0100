/** Writes what a cursor (cursor.ts) reads: big-endian numbers and byte strings. */

const INITIAL_SIZE = 1 << 16;

/** Bytes that grow at their end. */
export class ByteWriter {
  #bytes = Buffer.alloc(INITIAL_SIZE);
  #length = 0;

  /** Number of bytes so far. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#bytes.writeUInt8(value, at);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  /** Writes a whole number from -2^53 to 2^53 as the 64 bits of its two's complement. */
  i64(value: number): void {
    const at = this.#grow(8);
    this.#bytes.writeBigInt64BE(BigInt(value), at);
  }

  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** Writes the length in bytes (32 bits), then the bytes. */
  sized(value: Uint8Array): void {
    this.u32(value.length);
    this.bytes(value);
  }

  /** Writes a text as UTF-8, in the form of {@link sized}. */
  text(value: string): void {
    this.sized(Buffer.from(value));
  }

  /** Returns a view of what was written. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room for `count` bytes and returns where it begins. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}
