/**
 * The fields of a tar header block of 512 bytes, POSIX ustar (IEEE Std 1003.1, pax, "ustar
 * Interchange Format"). Numbers are octal digits in ASCII, texts end at the first NUL or fill their
 * field:
 *
 *     name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | typeflag 1 |
 *     linkname 100 | magic "ustar\0" | version "00" | uname 32 | gname 32 | devmajor 8 |
 *     devminor 8 | prefix 155 | 12 zero bytes
 *
 * GNU tar has the magic "ustar  \0", no prefix, and base 256 for numbers that octal digits cannot
 * hold.
 */
import { decodeUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';

/** Size of a header block; content is padded to a multiple of it. */
export const TAR_BLOCK = 512;

/** Where a field is, and its name in errors. */
export interface Field {
  readonly offset: number;
  readonly size: number;
  readonly label: string;
}

export const FIELDS = {
  name: { offset: 0, size: 100, label: 'name' },
  mode: { offset: 100, size: 8, label: 'mode' },
  uid: { offset: 108, size: 8, label: 'uid' },
  gid: { offset: 116, size: 8, label: 'gid' },
  size: { offset: 124, size: 12, label: 'size' },
  mtime: { offset: 136, size: 12, label: 'mtime' },
  checksum: { offset: 148, size: 8, label: 'checksum' },
  typeflag: { offset: 156, size: 1, label: 'type' },
  linkname: { offset: 157, size: 100, label: 'link name' },
  magic: { offset: 257, size: 8, label: 'magic' },
  devmajor: { offset: 329, size: 8, label: 'devmajor' },
  devminor: { offset: 337, size: 8, label: 'devminor' },
  prefix: { offset: 345, size: 155, label: 'prefix' },
} as const satisfies Readonly<Record<string, Field>>;

const SPACE = 0x20;
/** The first byte of a negative number, which only base 256 can express. */
const NEGATIVE = 0xff;
/** The largest uid or gid that Linux and ostree objects can hold. */
const MAX_ID = 2 ** 32 - 1;

/**
 * Writes a number: octal digits and a NUL or, if they do not fit, base 256 with the first bit set.
 */
export function writeNumber(block: Buffer, { offset, size }: Field, value: number): void {
  const digits = size - 1;
  const isOctal = value < 8 ** digits;
  const [base, zero, length] = isOctal ? [8, 0x30, digits] : [256, 0, size];
  let rest = value;
  for (let at = offset + length - 1; at >= offset; at--) {
    block[at] = zero + (rest % base);
    rest = Math.floor(rest / base);
  }
  if (isOctal) {
    block[offset + digits] = 0;
  } else {
    block[offset] = (block[offset] ?? 0) | 0x80;
  }
}

/**
 * Reads a number: octal digits or, if the first bit is set, base 256 (big-endian). Throws `CORRUPT`
 * for anything else.
 */
export function readNumber(block: Buffer, field: Field): number {
  const { offset, size, label } = field;
  const first = block[offset] ?? 0;
  if (first === NEGATIVE) {
    throw new OstrataError('CORRUPT', `tar ${label} is negative`);
  }
  if (first >= 0x80) {
    let value = first & 0x7f;
    for (let i = 1; i < size; i++) {
      value = value * 256 + (block[offset + i] ?? 0);
    }
    return requireSafe(value, label);
  }

  const digits = block
    .toString('latin1', offset, offset + size)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (!/^[0-7]*$/.test(digits)) {
    throw new OstrataError('CORRUPT', `tar ${label} is not a number: ${JSON.stringify(digits)}`);
  }
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Reads a number as {@link readNumber} does, or a negative one, which is in two's complement. */
export function readSigned(block: Buffer, field: Field): number {
  const { offset, size, label } = field;
  if (block[offset] !== NEGATIVE) {
    return readNumber(block, field);
  }
  let value = -1;
  for (let i = 1; i < size; i++) {
    const byte = block[offset + i] ?? 0;
    value = value * 256 + byte;
  }
  if (!Number.isSafeInteger(value)) {
    throw new OstrataError('CORRUPT', `tar ${label} is out of range: ${value}`);
  }
  return value;
}

/** Reads the text of a field. Throws `UNSUPPORTED` if it is not UTF-8. */
export function readText(block: Buffer, { offset, size, label }: Field): string {
  return decodeText(untilNul(block.subarray(offset, offset + size)), label);
}

/** Returns the sum of the bytes of a header block. The checksum field itself counts as spaces. */
export function headerChecksum(block: Buffer): number {
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK; at++) {
    sum += block[at] ?? 0;
  }
  const { offset, size } = FIELDS.checksum;
  for (let at = offset; at < offset + size; at++) {
    sum += SPACE - (block[at] ?? 0);
  }
  return sum;
}

/** Returns the bytes before the first NUL. */
export function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Decodes a text of the archive. Throws `UNSUPPORTED` if it is not UTF-8. */
export function decodeText(bytes: Uint8Array, label: string): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `tar ${label} ${JSON.stringify(Buffer.from(bytes).toString('latin1'))} is not UTF-8`,
    );
  }
  return text;
}

/**
 * Decodes a number in decimal digits. Throws `CORRUPT` unless it is whole and JavaScript represents
 * it exactly.
 */
export function decodeDecimal(digits: string, label: string): number {
  if (!/^[0-9]{1,16}$/.test(digits)) {
    throw new OstrataError('CORRUPT', `${label} is ${JSON.stringify(digits)}`);
  }
  return requireSafe(Number(digits), label);
}

/**
 * Returns `value`. Throws `CORRUPT` unless it is a whole number that JavaScript represents exactly.
 */
function requireSafe(value: number, label: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new OstrataError('CORRUPT', `tar ${label} is out of range: ${value}`);
  }
  return value;
}

/**
 * Returns `id`, a uid or gid. Throws `CORRUPT` unless it is a whole number of 32 bits: a larger one
 * would be cut to another owner, 2^32 to root.
 */
export function checkId(id: number, label: 'uid' | 'gid'): number {
  if (!Number.isInteger(id) || id < 0 || id > MAX_ID) {
    throw new OstrataError('CORRUPT', `tar ${label} is ${id}, expected 0 to ${MAX_ID}`);
  }
  return id;
}
