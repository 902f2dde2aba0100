/**
 * GVariant values, the form in which all metadata objects of ostree are serialized. Containers are
 * described in container.ts, type strings in type.ts.
 *
 * Spec: https://people.gnome.org/~desrt/gvariant-serialisation.pdf, GLib `gvariant-serialiser.c`. A
 * number takes the size of its type, a boolean is one byte 0 or 1, a string ends in a NUL, a
 * variant is its value, a NUL and its type string. Integers are little-endian here. ostree stores
 * some fields big-endian; the modules of its objects swap them (swap32, swap64).
 *
 * Only the normal form is accepted: what GLib would silently replace by a default value is a
 * `CORRUPT` error.
 */
import { decodeUtf8 } from '../../bytes/text.js';
import { joinContainer, splitContainer } from './container.js';
import { type GVariantType, MAX_DEPTH, memberType, misuse, notNormal, parseType } from './type.js';

/**
 * A value. Its shape follows from its type:
 *   b                      boolean
 *   y n q i u h d          number
 *   x t                    bigint
 *   s o g                  string
 *   ay                     bytes
 *   v                      {@link Variant}
 *   other arrays, tuples,  a list
 *   dictionary entries
 *   maybe                  a list of at most one value
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

/**
 * Decodes one value that fills `bytes`. Byte strings in the result are views of `bytes`. Throws
 * `CORRUPT` unless it is in normal form. The caller states as `Value` the shape that
 * {@link GVariantValue} gives for `signature`.
 */
export function decode<Value extends GVariantValue = GVariantValue>(
  signature: string,
  bytes: Uint8Array,
): Value {
  return decodeValue(parseType(signature), bytes, 0) as Value;
}

/**
 * Returns the members of an array, tuple, dictionary entry or maybe as views of `bytes`, still
 * serialized. The caller states as `Members` how many members `signature` has.
 */
export function split<Members extends readonly Uint8Array[] = readonly Uint8Array[]>(
  signature: string,
  bytes: Uint8Array,
): Members {
  const members: readonly Uint8Array[] = splitContainer(parseType(signature), bytes);
  return members as Members;
}

/**
 * Serializes `value`. Throws a TypeError unless it has the shape that {@link GVariantValue} gives
 * for `signature`.
 */
export function encode(signature: string, value: GVariantValue): Uint8Array {
  return encodeValue(parseType(signature), value);
}

/** Serializes a container from its serialized members: the inverse of {@link split}. */
export function join(signature: string, members: readonly Uint8Array[]): Uint8Array {
  return joinContainer(parseType(signature), members);
}

/** Returns a 32-bit unsigned integer with its bytes in reverse order. */
export function swap32(value: number): number {
  const swapped =
    (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
  return swapped >>> 0;
}

/** Returns a 64-bit unsigned integer with its bytes in reverse order. */
export function swap64(value: bigint): bigint {
  const low = swap32(Number(value & 0xffffffffn));
  const high = swap32(Number(value >> 32n));
  return (BigInt(low) << 32n) | BigInt(high);
}

function decodeValue(type: GVariantType, bytes: Uint8Array, depth: number): GVariantValue {
  if (depth > MAX_DEPTH) {
    throw notNormal(type, `nested more than ${MAX_DEPTH} deep`);
  }
  switch (type.kind) {
    case 'fixed':
      return decodeFixed(type, bytes);
    case 'string':
      return decodeString(type, bytes);
    case 'variant':
      return decodeVariant(type, bytes, depth);
  }
  if (type.signature === 'ay') {
    return bytes;
  }
  return splitContainer(type, bytes).map((member, index) =>
    decodeValue(memberType(type, index), member, depth + 1),
  );
}

function encodeValue(type: GVariantType, value: GVariantValue): Uint8Array {
  switch (type.kind) {
    case 'fixed':
      return encodeFixed(type, value);
    case 'string':
      return encodeString(type, value);
    case 'variant':
      return encodeVariant(type, value);
  }
  if (value instanceof Uint8Array && type.signature === 'ay') {
    return value;
  }

  if (!isList(value)) {
    throw misuse(type, 'needs a list');
  }
  if (type.kind === 'tuple' && value.length !== type.members.length) {
    throw misuse(type, `needs ${type.members.length} members`);
  }
  const members = value.map((item, index) => encodeValue(memberType(type, index), item));
  return joinContainer(type, members);
}

function isList(value: GVariantValue): value is readonly GVariantValue[] {
  return Array.isArray(value);
}

function decodeFixed(type: GVariantType, bytes: Uint8Array): GVariantValue {
  if (bytes.length !== type.size) {
    throw notNormal(type, `expected ${type.size} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (type.signature) {
    case 'b':
      return decodeBoolean(type, view.getUint8(0));
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

function decodeBoolean(type: GVariantType, byte: number): boolean {
  if (byte > 1) {
    throw notNormal(type, `expected 0 or 1, got ${byte}`);
  }
  return byte === 1;
}

function encodeFixed(type: GVariantType, value: GVariantValue): Uint8Array {
  switch (type.signature) {
    case 'b':
      return encodeBoolean(type, value);
    case 'd':
      return encodeDouble(type, value);
    default:
      return encodeInteger(type, value);
  }
}

function encodeBoolean(type: GVariantType, value: GVariantValue): Uint8Array {
  if (typeof value !== 'boolean') {
    throw misuse(type, 'needs a boolean');
  }
  return Uint8Array.of(value ? 1 : 0);
}

function encodeDouble(type: GVariantType, value: GVariantValue): Uint8Array {
  if (typeof value !== 'number') {
    throw misuse(type, 'needs a number');
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return bytes;
}

/** The lowest and highest value of each integer type. A DataView would wrap others around. */
const RANGES: ReadonlyMap<string, readonly [low: bigint, high: bigint]> = new Map([
  ['y', [0n, 0xffn]],
  ['n', [-0x8000n, 0x7fffn]],
  ['q', [0n, 0xffffn]],
  ['i', [-0x80000000n, 0x7fffffffn]],
  ['h', [-0x80000000n, 0x7fffffffn]],
  ['u', [0n, 0xffffffffn]],
  ['x', [-(1n << 63n), (1n << 63n) - 1n]],
  ['t', [0n, (1n << 64n) - 1n]],
]);

function encodeInteger(type: GVariantType, value: GVariantValue): Uint8Array {
  const integer = toBigInt(value);
  const [low, high] = RANGES.get(type.signature) ?? [0n, 0n];
  if (integer === undefined || integer < low || integer > high) {
    throw misuse(type, `cannot hold ${String(value)}`);
  }

  // The size of a basic type is its alignment.
  const bytes = new Uint8Array(type.alignment);
  const bits = BigInt.asUintN(64, integer);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number((bits >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

function toBigInt(value: GVariantValue): bigint | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  }
  return typeof value === 'bigint' ? value : undefined;
}

function decodeString(type: GVariantType, bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1) {
    throw notNormal(type, `${bytes.length} bytes without one NUL at the end`);
  }
  const text = decodeUtf8(bytes.subarray(0, -1));
  if (text === undefined) {
    throw notNormal(type, 'not valid UTF-8');
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
    throw notNormal(type, 'no NUL before the type string');
  }
  const signature = decodeUtf8(bytes.subarray(end + 1)) ?? '';
  const inner = parseType(signature);
  return { type: signature, value: decodeValue(inner, bytes.subarray(0, end), depth + 1) };
}

function encodeVariant(type: GVariantType, value: GVariantValue): Uint8Array {
  if (typeof value !== 'object' || !('type' in value)) {
    throw misuse(type, 'needs a variant');
  }
  return Buffer.concat([encode(value.type, value.value), Buffer.from(`\0${value.type}`)]);
}
