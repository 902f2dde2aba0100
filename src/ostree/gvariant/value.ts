/**
 * GVariant serialisation, what every ostree metadata object is made of: values. Containers are in
 * gvariant-container.ts, type strings in gvariant-type.ts.
 *
 * Spec: https://people.gnome.org/~desrt/gvariant-serialisation.pdf, GLib `gvariant-serialiser.c`.
 * Numbers are stored in their size, a boolean as one byte 0 or 1, a string with a NUL behind it, a variant as its
 * value, NUL, its type string. Integers are little-endian here; ostree stores some of its fields big-endian, its
 * object modules swap those (swap32, swap64).
 *
 * Only the normal form is accepted: what GLib would silently replace by a default value is a `CORRUPT` error.
 */
import { decodeUtf8 } from '../../bytes/text.js';
import { joinContainer, splitContainer } from './container.js';
import { fail, type GVariantType, MAX_DEPTH, memberType, misuse, parseType } from './type.js';

/**
 * `b` boolean; `y n q i u h d` number; `x t` bigint; `s o g` string; `ay` bytes; any other array, tuple, dictionary entry: a
 * list; maybe: a list of at most one; `v`: {@link Variant}.
 */
export type GVariantValue =
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Variant
  | readonly GVariantValue[];
/** A value with its type string. */
export interface Variant {
  readonly type: string;
  readonly value: GVariantValue;
}

/** Decodes one value of type `signature` that fills `bytes`; byte strings in the result are views of `bytes`. */
export function decode(signature: string, bytes: Uint8Array): GVariantValue {
  return decodeValue(parseType(signature), bytes, 0);
}

/** The members of an array, tuple, dictionary entry or maybe as views of `bytes`, still serialised. */
export function split(signature: string, bytes: Uint8Array): Uint8Array[] {
  return splitContainer(parseType(signature), bytes);
}

/** Serialises `value`, which must have the shape {@link GVariantValue} gives for `signature`. */
export function encode(signature: string, value: GVariantValue): Uint8Array {
  return encodeValue(parseType(signature), value);
}

/** Serialises a container from its serialised members: the inverse of {@link split}. */
export function join(signature: string, members: readonly Uint8Array[]): Uint8Array {
  return joinContainer(parseType(signature), members);
}

/** A 32-bit unsigned integer with its bytes in the other order. */
export function swap32(value: number): number {
  return (
    ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0
  );
}
/** A 64-bit unsigned integer with its bytes in the other order. */
export function swap64(value: bigint): bigint {
  return (
    (BigInt(swap32(Number(value & 0xffffffffn))) << 32n) | BigInt(swap32(Number(value >> 32n)))
  );
}

function decodeValue(type: GVariantType, bytes: Uint8Array, depth: number): GVariantValue {
  if (depth > MAX_DEPTH) {
    throw fail(type, `nested more than ${MAX_DEPTH} deep`);
  }
  switch (type.kind) {
    case 'fixed':
      return decodeFixed(type, bytes);
    case 'string':
      return decodeString(type, bytes);
    case 'variant':
      return decodeVariant(type, bytes, depth);
    case 'array':
      if (type.signature === 'ay') {
        return bytes;
      }
  }
  return splitContainer(type, bytes).map((part, index) =>
    decodeValue(memberType(type, index), part, depth + 1),
  );
}

function encodeValue(type: GVariantType, value: GVariantValue): Uint8Array {
  switch (type.kind) {
    case 'fixed':
      return encodeFixed(type, value);
    case 'string':
      return encodeString(type, value);
    case 'variant': {
      const { type: signature, value: inner } = value as Variant;
      return Buffer.concat([encode(signature, inner), NUL, new TextEncoder().encode(signature)]);
    }
    case 'array':
      if (value instanceof Uint8Array && type.signature === 'ay') {
        return value;
      }
  }
  const values = value as readonly GVariantValue[];
  if (!Array.isArray(values)) {
    throw misuse(type, 'needs a list');
  }
  if (type.kind === 'tuple' && values.length !== type.members.length) {
    throw misuse(type, `needs ${type.members.length} members`);
  }
  return joinContainer(
    type,
    values.map((item, index) => encodeValue(memberType(type, index), item)),
  );
}

function decodeFixed(type: GVariantType, bytes: Uint8Array): GVariantValue {
  if (bytes.length !== type.size) {
    throw fail(type, `expected ${type.size} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (type.signature) {
    case 'b': {
      const value = view.getUint8(0);
      if (value > 1) {
        throw fail(type, `expected 0 or 1, got ${value}`);
      }
      return value === 1;
    }
    case 'y':
      return view.getUint8(0);
    case 'n':
      return view.getInt16(0, true);
    case 'q':
      return view.getUint16(0, true);
    case 'u':
      return view.getUint32(0, true);
    case 'x':
      return view.getBigInt64(0, true);
    case 't':
      return view.getBigUint64(0, true);
    case 'd':
      return view.getFloat64(0, true);
    default: // i, h
      return view.getInt32(0, true);
  }
}

/** Inclusive ranges of the integer types; DataView would wrap what is outside. */
const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  y: [0n, 0xffn],
  n: [-0x8000n, 0x7fffn],
  q: [0n, 0xffffn],
  i: [-0x80000000n, 0x7fffffffn],
  h: [-0x80000000n, 0x7fffffffn],
  u: [0n, 0xffffffffn],
  x: [-(1n << 63n), (1n << 63n) - 1n],
  t: [0n, (1n << 64n) - 1n],
};

function encodeFixed(type: GVariantType, value: GVariantValue): Uint8Array {
  const bytes = new Uint8Array(type.size as number);
  const view = new DataView(bytes.buffer);
  if (type.signature === 'd') {
    if (typeof value !== 'number') {
      throw misuse(type, 'needs a number');
    }
    view.setFloat64(0, value, true);
    return bytes;
  }
  if (type.signature === 'b') {
    if (typeof value !== 'boolean') {
      throw misuse(type, 'needs a boolean');
    }
    bytes[0] = value ? 1 : 0;
    return bytes;
  }
  const isInteger =
    typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  const [low, high] = RANGES[type.signature] as readonly [bigint, bigint];
  if (!isInteger || BigInt(value) < low || BigInt(value) > high) {
    throw misuse(type, `cannot hold ${String(value)}`);
  }
  const bits = BigInt.asUintN(64, BigInt(value));
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number((bits >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

const NUL = new Uint8Array(1);

function decodeString(type: GVariantType, bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) {
    throw fail(type, `${bytes.length} bytes without one NUL at the end`);
  }
  const text = decodeUtf8(bytes.subarray(0, -1));
  if (text === undefined) {
    throw fail(type, 'not valid UTF-8');
  }
  return text;
}

function encodeString(type: GVariantType, value: GVariantValue): Uint8Array {
  if (typeof value !== 'string' || value.includes('\0') || /\p{Surrogate}/u.test(value)) {
    throw misuse(type, 'needs well-formed text without NUL');
  }
  return new TextEncoder().encode(`${value}\0`);
}

function decodeVariant(type: GVariantType, bytes: Uint8Array, depth: number): Variant {
  const end = bytes.lastIndexOf(0);
  if (end < 0) {
    throw fail(type, 'no NUL before the type string');
  }
  const signature = decodeUtf8(bytes.subarray(end + 1)) ?? '';
  return {
    type: signature,
    value: decodeValue(parseType(signature), bytes.subarray(0, end), depth + 1),
  };
}
