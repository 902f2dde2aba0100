/** Random damage for fuzzers: the same seed damages the same bytes in the same way. */

/** Returns a whole number from 0 to `below - 1`. */
export type Random = (below: number) => number;

/** mulberry32: numbers below 2^32, the same for the same seed. */
export function randomNumbers(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Returns one of `values`, of which there must be one. */
export function pick<T>(values: readonly T[], random: Random): T {
  const index = random(values.length);
  return values[index] as T;
}

const INTERESTING = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0xfffffff0, 0xffffffff,
];

/**
 * Returns a damaged copy of `bytes`. Most damage goes where structures begin: the start of the file
 * and of its pages.
 */
export function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(bytes);
  if (copy.length === 0 || random(16) === 0) {
    return copy.subarray(0, random(copy.length + 1));
  }
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const page = random(Math.max(1, copy.length >> 9)) << 9;
    const at = [
      random(copy.length),
      random(Math.min(256, copy.length)),
      page + random(64),
      page + 480 + random(32),
    ][random(4)] as number;
    damageAt(copy, at, random);
  }
  return copy;
}

/** Flips a bit, or replaces a byte, a 32-bit number or a run of bytes. */
function damageAt(bytes: Buffer, at: number, random: Random): void {
  switch (random(5)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      break;
    case 1:
      bytes[at] = random(256);
      break;
    case 2:
    case 3:
      writeNumber(bytes, at, random);
      break;
    default: {
      const length = random(512);
      const start = random(bytes.length);
      bytes.copyWithin(at, start, start + length);
    }
  }
}

/** Writes an interesting number, or one that may be an offset, in either byte order. */
function writeNumber(bytes: Buffer, at: number, random: Random): void {
  if (at + 4 > bytes.length) {
    return;
  }
  const value =
    random(2) === 0 ? (INTERESTING[random(INTERESTING.length)] ?? 0) : random(bytes.length);
  if (random(2) === 0) {
    bytes.writeUInt32BE(value, at);
  } else {
    bytes.writeUInt32LE(value, at);
  }
}
