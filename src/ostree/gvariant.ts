/**
 * GVariant serialisation, what every ostree metadata object is made of.
 *
 * Spec: https://people.gnome.org/~desrt/gvariant-serialisation.pdf, GLib `gvariant-serialiser.c`.
 * Values follow each other at their alignment (zero padding). A container with members of variable length ends in
 * framing offsets: where each such member ends, little-endian, 1, 2 or 4 bytes each by the size of the container
 * they are in; an array has one for every element, in order; a tuple one for every such member but its last, in
 * reverse order. A string ends in NUL; a variant is its value, NUL, its type string; a maybe is empty, or its value
 * (and a zero byte if values vary in length). Integers are little-endian here; ostree stores some of its fields
 * big-endian, its object modules swap those (swap32, swap64).
 *
 * Only the normal form is accepted: what GLib would silently replace by a default value is a `CORRUPT` error.
 */
import { Cursor } from '../bytes/cursor.js';
import { decodeUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import { alignUp, type GVariantType, MAX_DEPTH, parseType } from './gvariant-type.js';

/**
 * `b` boolean; `y n q i u h d` number; `x t` bigint; `s o g` string; `ay` bytes; any other array, tuple, dictionary entry: a
 * list; maybe: a list of at most one; `v`: {@link Variant}.
 */
export type GVariantValue = boolean | number | bigint | string | Uint8Array | Variant | readonly GVariantValue[];
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
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
/** A 64-bit unsigned integer with its bytes in the other order. */
export function swap64(value: bigint): bigint {
  return (BigInt(swap32(Number(value & 0xffffffffn))) << 32n) | BigInt(swap32(Number(value >> 32n)));
}

function decodeValue(type: GVariantType, bytes: Uint8Array, depth: number): GVariantValue {
  if (depth > MAX_DEPTH) throw fail(type, `nested more than ${MAX_DEPTH} deep`);
  switch (type.kind) {
    case 'fixed':
      return decodeFixed(type, bytes);
    case 'string':
      return decodeString(type, bytes);
    case 'variant':
      return decodeVariant(type, bytes, depth);
    case 'array':
      if (type.signature === 'ay') return bytes;
      return splitArray(type, bytes).map((part) => decodeValue(onlyMember(type), part, depth + 1));
    case 'maybe':
      return splitMaybe(type, bytes).map((part) => decodeValue(onlyMember(type), part, depth + 1));
    case 'tuple': {
      const parts = splitTuple(type, bytes);
      return type.members.map((member, index) => decodeValue(member, parts[index] as Uint8Array, depth + 1));
    }
  }
}

function encodeValue(type: GVariantType, value: GVariantValue): Uint8Array {
  switch (type.kind) {
    case 'fixed':
      return encodeFixed(type, value);
    case 'string':
      return encodeString(type, value);
    case 'variant': {
      const { type: signature, value: inner } = value as Variant;
      return concat([encode(signature, inner), NUL, new TextEncoder().encode(signature)]);
    }
    case 'array':
      if (value instanceof Uint8Array && type.signature === 'ay') return value;
  }
  const member = type.members[0];
  const values = value as readonly GVariantValue[];
  if (!Array.isArray(values)) throw misuse(type, 'needs a list');
  if (type.kind !== 'tuple')
    return joinContainer(
      type,
      values.map((item) => encodeValue(member as GVariantType, item)),
    );
  if (values.length !== type.members.length) throw misuse(type, `needs ${type.members.length} members`);
  return joinContainer(
    type,
    type.members.map((each, index) => encodeValue(each, values[index] as GVariantValue)),
  );
}

function decodeFixed(type: GVariantType, bytes: Uint8Array): GVariantValue {
  if (bytes.length !== type.size) throw fail(type, `expected ${type.size} bytes, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (type.signature) {
    case 'b': {
      const value = view.getUint8(0);
      if (value > 1) throw fail(type, `expected 0 or 1, got ${value}`);
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
    if (typeof value !== 'number') throw misuse(type, 'needs a number');
    view.setFloat64(0, value, true);
    return bytes;
  }
  if (type.signature === 'b') {
    if (typeof value !== 'boolean') throw misuse(type, 'needs a boolean');
    bytes[0] = value ? 1 : 0;
    return bytes;
  }
  const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  const [low, high] = RANGES[type.signature] as readonly [bigint, bigint];
  if (!isInteger || BigInt(value) < low || BigInt(value) > high) throw misuse(type, `cannot hold ${String(value)}`);
  const bits = BigInt.asUintN(64, BigInt(value));
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number((bits >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

const NUL = new Uint8Array(1);

function decodeString(type: GVariantType, bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes.indexOf(0) !== bytes.length - 1)
    throw fail(type, `${bytes.length} bytes without one NUL at the end`);
  const text = decodeUtf8(bytes.subarray(0, -1));
  if (text === undefined) throw fail(type, 'not valid UTF-8');
  return text;
}

function encodeString(type: GVariantType, value: GVariantValue): Uint8Array {
  if (typeof value !== 'string' || value.includes('\0') || /\p{Surrogate}/u.test(value))
    throw misuse(type, 'needs well-formed text without NUL');
  return new TextEncoder().encode(`${value}\0`);
}

function decodeVariant(type: GVariantType, bytes: Uint8Array, depth: number): Variant {
  const end = bytes.lastIndexOf(0);
  if (end < 0) throw fail(type, 'no NUL before the type string');
  const signature = decodeUtf8(bytes.subarray(end + 1)) ?? '';
  return { type: signature, value: decodeValue(parseType(signature), bytes.subarray(0, end), depth + 1) };
}

function splitContainer(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (type.kind === 'array') return splitArray(type, bytes);
  if (type.kind === 'tuple') return splitTuple(type, bytes);
  if (type.kind === 'maybe') return splitMaybe(type, bytes);
  throw misuse(type, 'is no container');
}

function joinContainer(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (type.kind === 'array') return joinArray(type, members);
  if (type.kind === 'tuple') return joinTuple(type, members);
  if (type.kind !== 'maybe') throw misuse(type, 'is no container');
  if (members.length > 1) throw misuse(type, `holds at most 1 value, not ${members.length}`);
  return members.length === 0 || onlyMember(type).size !== undefined ? concat(members) : concat([...members, NUL]);
}

function splitMaybe(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) return [];
  if (onlyMember(type).size !== undefined) return [bytes];
  if (bytes[bytes.length - 1] !== 0) throw fail(type, 'no zero byte after the value');
  return [bytes.subarray(0, -1)];
}

function splitArray(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  const member = onlyMember(type);
  if (bytes.length === 0) return [];
  const parts: Uint8Array[] = [];
  if (member.size !== undefined) {
    if (bytes.length % member.size !== 0) throw fail(type, `${bytes.length} bytes are no multiple of ${member.size}`);
    for (let at = 0; at < bytes.length; at += member.size) parts.push(bytes.subarray(at, at + member.size));
    return parts;
  }
  const width = offsetWidth(bytes.length);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  if (bytes.length < width) throw fail(type, `${bytes.length} bytes have no room for an offset`);
  const bodyEnd = readOffset(offsets.seek(bytes.length - width), width);
  if (bodyEnd > bytes.length - width || (bytes.length - bodyEnd) % width !== 0)
    throw fail(type, `last framing offset ${bodyEnd} in ${bytes.length} bytes`);
  const body = bytes.subarray(0, bodyEnd);
  offsets.seek(bodyEnd);
  for (let at = 0; offsets.remaining > 0; ) {
    const end = readOffset(offsets, width);
    parts.push(sliceOf(type, body, skipPadding(type, body, at, member.alignment), end));
    at = end;
  }
  if (offsetWidthFor(bodyEnd, parts.length) !== width) throw fail(type, `framing offsets of ${width} bytes, too wide`);
  return parts;
}

function joinArray(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  const member = onlyMember(type);
  const { pieces, ends, end } = layOut(members, () => member);
  if (member.size !== undefined) return concat(pieces);
  return concat([...pieces, encodeOffsets(ends, end)]);
}

function splitTuple(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (type.size !== undefined && bytes.length !== type.size)
    throw fail(type, `expected ${type.size} bytes, got ${bytes.length}`);
  const width = offsetWidth(bytes.length);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  const framed = framedMembers(type);
  const bodyEnd = bytes.length - framed * width;
  if (bodyEnd < 0) throw fail(type, `${bytes.length} bytes have no room for ${framed} offsets`);
  const body = bytes.subarray(0, bodyEnd);
  const last = type.members.length - 1;
  let at = 0;
  let offsetAt = bytes.length;
  const parts = type.members.map((member, index) => {
    const start = skipPadding(type, body, at, member.alignment);
    let end: number;
    if (member.size !== undefined) end = start + member.size;
    else if (index === last) end = bodyEnd;
    else {
      offsetAt -= width;
      end = readOffset(offsets.seek(offsetAt), width);
    }
    at = end;
    return sliceOf(type, body, start, end);
  });
  if (type.size !== undefined) at = skipZeros(type, body, at, bodyEnd);
  if (at !== bodyEnd) throw fail(type, `${bodyEnd - at} bytes after the last member`);
  if (framed > 0 && offsetWidthFor(bodyEnd, framed) !== width)
    throw fail(type, `framing offsets of ${width} bytes, too wide`);
  return parts;
}

function joinTuple(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (members.length !== type.members.length) throw misuse(type, `needs ${type.members.length} members`);
  const { pieces, ends, end } = layOut(members, (index) => type.members[index] as GVariantType);
  if (type.size !== undefined) return concat([...pieces, new Uint8Array(type.size - end)]);
  const last = type.members.length - 1;
  const framed = ends.filter((_, index) => index !== last && type.members[index]?.size === undefined);
  return concat([...pieces, encodeOffsets(framed.reverse(), end)]);
}

/** Number of framing offsets at the end of a tuple. */
function framedMembers(type: GVariantType): number {
  return type.members.slice(0, -1).filter((member) => member.size === undefined).length;
}

/** Members at their alignment: the pieces with padding between, where each member ends, and where the last does. */
function layOut(members: readonly Uint8Array[], typeOf: (index: number) => GVariantType) {
  const pieces: Uint8Array[] = [];
  const ends: number[] = [];
  let end = 0;
  members.forEach((bytes, index) => {
    const type = typeOf(index);
    if (type.size !== undefined && bytes.length !== type.size)
      throw misuse(type, `takes ${type.size} bytes, not ${bytes.length}`);
    const start = alignUp(end, type.alignment);
    if (start > end) pieces.push(new Uint8Array(start - end));
    pieces.push(bytes);
    end = start + bytes.length;
    ends.push(end);
  });
  return { pieces, ends, end };
}

function sliceOf(type: GVariantType, body: Uint8Array, start: number, end: number): Uint8Array {
  if (end < start || end > body.length) throw fail(type, `member from ${start} to ${end} in ${body.length} bytes`);
  return body.subarray(start, end);
}

/** The aligned offset from `at` on; what is skipped must be zero. */
function skipPadding(type: GVariantType, body: Uint8Array, at: number, alignment: number): number {
  return skipZeros(type, body, at, alignUp(at, alignment));
}

function skipZeros(type: GVariantType, body: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) if (body[at] !== 0) throw fail(type, `padding at ${at} is not a zero byte`);
  return to;
}

/** Bytes of each framing offset in a container of `size` bytes. */
function offsetWidth(size: number): 1 | 2 | 4 {
  if (size <= 0xff) return 1;
  return size <= 0xffff ? 2 : 4;
}

/** Bytes of each of `count` framing offsets behind a body of `bodyEnd` bytes: the least that fits both. */
function offsetWidthFor(bodyEnd: number, count: number): 1 | 2 | 4 {
  if (bodyEnd + count <= 0xff) return 1;
  return bodyEnd + 2 * count <= 0xffff ? 2 : 4;
}

function readOffset(cursor: Cursor, width: 1 | 2 | 4): number {
  if (width === 1) return cursor.u8();
  return width === 2 ? cursor.u16(true) : cursor.u32(true);
}

function encodeOffsets(ends: readonly number[], bodyEnd: number): Uint8Array {
  const width = offsetWidthFor(bodyEnd, ends.length);
  const bytes = new Uint8Array(ends.length * width);
  const view = new DataView(bytes.buffer);
  ends.forEach((end, index) => {
    if (width === 1) view.setUint8(index, end);
    else if (width === 2) view.setUint16(index * 2, end, true);
    else view.setUint32(index * 4, end, true);
  });
  return bytes;
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8Array(Buffer.concat(pieces));
}

function onlyMember(type: GVariantType): GVariantType {
  return type.members[0] as GVariantType;
}

function fail(type: GVariantType, rule: string): OstrataError {
  return new OstrataError('CORRUPT', `GVariant ${type.signature}: ${rule}`);
}

/** A value that does not fit its type is a mistake of the caller, not of input. */
function misuse(type: GVariantType, rule: string): TypeError {
  return new TypeError(`GVariant ${type.signature} ${rule}`);
}
