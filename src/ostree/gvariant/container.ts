/**
 * GVariant containers: arrays, maybes, tuples, and dictionary entries, which are serialized as
 * tuples.
 *
 * Members follow each other at their alignments, with zero padding between them. A container with
 * members of variable size ends in framing offsets: the offsets at which such members end. They are
 * little-endian, and of 1, 2 or 4 bytes by the size of the container that they are in.
 *
 *     array  one framing offset for every member, in order; none if members have a fixed size
 *     tuple  one for every member of variable size but the last member, in reverse order; a tuple
 *            of fixed size is padded to its alignment, and the empty tuple is a zero byte
 *     maybe  empty, or the value, followed by a zero byte if the value has a variable size
 *
 * Only the normal form is accepted, which no other bytes of equal meaning share.
 */
import { Cursor } from '../../bytes/cursor.js';
import { alignUp, type GVariantType, memberType, misuse, notNormal } from './type.js';

const NUL = new Uint8Array(1);

/**
 * Splits a container into views of its serialized members. Throws `CORRUPT` unless it is in normal
 * form.
 */
export function splitContainer(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  switch (type.kind) {
    case 'array':
      return splitArray(type, bytes);
    case 'tuple':
      return splitTuple(type, bytes);
    case 'maybe':
      return splitMaybe(type, bytes);
    default:
      throw misuse(type, 'is not a container');
  }
}

/** Joins serialized members to a container: the inverse of {@link splitContainer}. */
export function joinContainer(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  switch (type.kind) {
    case 'array':
      return joinArray(type, members);
    case 'tuple':
      return joinTuple(type, members);
    case 'maybe':
      return joinMaybe(type, members);
    default:
      throw misuse(type, 'is not a container');
  }
}

function splitMaybe(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) {
    return [];
  }
  if (memberType(type, 0).size !== undefined) {
    return [bytes];
  }
  if (bytes.at(-1) !== 0) {
    throw notNormal(type, 'no zero byte after the value');
  }
  return [bytes.subarray(0, -1)];
}

function joinMaybe(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (members.length > 1) {
    throw misuse(type, `holds at most 1 value, not ${members.length}`);
  }
  const needsZero = members.length === 1 && memberType(type, 0).size === undefined;
  return concat(needsZero ? [...members, NUL] : members);
}

function splitArray(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) {
    return [];
  }
  const { size, alignment } = memberType(type, 0);
  if (size !== undefined) {
    return splitEvenly(type, bytes, size);
  }

  // The last offset is where the last member ends, so it is where the offsets begin.
  const width = offsetWidth(bytes.length);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  const bodyEnd = readOffset(offsets.seek(bytes.length - width), width);
  if (bodyEnd > bytes.length - width || (bytes.length - bodyEnd) % width !== 0) {
    throw notNormal(type, `last framing offset ${bodyEnd} in ${bytes.length} bytes`);
  }

  const body = bytes.subarray(0, bodyEnd);
  const members: Uint8Array[] = [];
  let at = 0;
  offsets.seek(bodyEnd);
  while (offsets.remaining > 0) {
    const end = readOffset(offsets, width);
    const start = skipPadding(type, body, at, alignment);
    members.push(memberOf(type, body, start, end));
    at = end;
  }
  requireWidth(type, width, bodyEnd, members.length);
  return members;
}

function splitEvenly(type: GVariantType, bytes: Uint8Array, size: number): Uint8Array[] {
  if (bytes.length % size !== 0) {
    throw notNormal(type, `${bytes.length} bytes are no multiple of ${size}`);
  }
  const members: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    members.push(bytes.subarray(at, at + size));
  }
  return members;
}

function joinArray(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  const member = memberType(type, 0);
  const { pieces, ends, end } = alignMembers(members, () => member);
  if (member.size === undefined) {
    pieces.push(encodeOffsets(ends, end));
  }
  return concat(pieces);
}

function splitTuple(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (type.size !== undefined && bytes.length !== type.size) {
    throw notNormal(type, `expected ${type.size} bytes, got ${bytes.length}`);
  }
  const width = offsetWidth(bytes.length);
  const bodyEnd = bytes.length - type.offsetCount * width;
  if (bodyEnd < 0) {
    throw notNormal(type, `${bytes.length} bytes have no room for ${type.offsetCount} offsets`);
  }

  const body = bytes.subarray(0, bodyEnd);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  const last = type.members.length - 1;
  let at = 0;
  let offsetAt = bytes.length;
  const members = type.members.map((member, index) => {
    const start = skipPadding(type, body, at, member.alignment);
    if (member.size !== undefined) {
      at = start + member.size;
    } else if (index === last) {
      at = bodyEnd;
    } else {
      offsetAt -= width;
      at = readOffset(offsets.seek(offsetAt), width);
    }
    return memberOf(type, body, start, at);
  });

  if (type.size !== undefined) {
    at = skipZeros(type, body, at, bodyEnd);
  }
  if (at !== bodyEnd) {
    throw notNormal(type, `${bodyEnd - at} bytes after the last member`);
  }
  if (type.offsetCount > 0) {
    requireWidth(type, width, bodyEnd, type.offsetCount);
  }
  return members;
}

function joinTuple(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (members.length !== type.members.length) {
    throw misuse(type, `needs ${type.members.length} members`);
  }
  const { pieces, ends, end } = alignMembers(members, (index) => memberType(type, index));
  if (type.size !== undefined) {
    pieces.push(new Uint8Array(type.size - end));
    return concat(pieces);
  }

  const last = members.length - 1;
  const framed = ends.filter((_, index) => {
    return index !== last && memberType(type, index).size === undefined;
  });
  pieces.push(encodeOffsets(framed.reverse(), end));
  return concat(pieces);
}

/** Serialized members at their alignments. */
interface AlignedMembers {
  /** The members, and the padding between them. */
  readonly pieces: Uint8Array[];
  /** Where each member ends. */
  readonly ends: readonly number[];
  /** Where the last member ends. */
  readonly end: number;
}

function alignMembers(
  members: readonly Uint8Array[],
  typeOf: (index: number) => GVariantType,
): AlignedMembers {
  const pieces: Uint8Array[] = [];
  const ends: number[] = [];
  let end = 0;
  members.forEach((bytes, index) => {
    const type = typeOf(index);
    if (type.size !== undefined && bytes.length !== type.size) {
      throw misuse(type, `takes ${type.size} bytes, not ${bytes.length}`);
    }

    const start = alignUp(end, type.alignment);
    if (start > end) {
      pieces.push(new Uint8Array(start - end));
    }
    pieces.push(bytes);
    end = start + bytes.length;
    ends.push(end);
  });
  return { pieces, ends, end };
}

/** Returns a view of a member, whose bounds come from input. */
function memberOf(type: GVariantType, body: Uint8Array, start: number, end: number): Uint8Array {
  if (end < start || end > body.length) {
    throw notNormal(type, `member from ${start} to ${end} in ${body.length} bytes`);
  }
  return body.subarray(start, end);
}

/** Returns the first aligned offset from `at` on. Throws `CORRUPT` unless the padding is zero. */
function skipPadding(type: GVariantType, body: Uint8Array, at: number, alignment: number): number {
  return skipZeros(type, body, at, alignUp(at, alignment));
}

function skipZeros(type: GVariantType, body: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (body[at] !== 0) {
      throw notNormal(type, `padding at ${at} is not a zero byte`);
    }
  }
  return to;
}

/** Size of a framing offset in bytes. */
type OffsetWidth = 1 | 2 | 4;

/** Returns the width of the framing offsets in a container of `size` bytes. */
function offsetWidth(size: number): OffsetWidth {
  if (size <= 0xff) {
    return 1;
  }
  return size <= 0xffff ? 2 : 4;
}

/** Returns the least width with which a body and `count` framing offsets fit into a container. */
function leastOffsetWidth(bodyEnd: number, count: number): OffsetWidth {
  if (bodyEnd + count <= 0xff) {
    return 1;
  }
  return bodyEnd + 2 * count <= 0xffff ? 2 : 4;
}

/**
 * Refuses framing offsets that are wider than needed: the same value has a shorter form, the normal
 * one.
 */
function requireWidth(type: GVariantType, width: number, bodyEnd: number, count: number): void {
  if (leastOffsetWidth(bodyEnd, count) !== width) {
    throw notNormal(type, `framing offsets of ${width} bytes are too wide`);
  }
}

function readOffset(cursor: Cursor, width: OffsetWidth): number {
  if (width === 1) {
    return cursor.u8();
  }
  return width === 2 ? cursor.u16(true) : cursor.u32(true);
}

/**
 * Encodes framing offsets.
 * @param ends the offsets, in their order in the container
 * @param bodyEnd where the last member ends
 */
export function encodeOffsets(ends: readonly number[], bodyEnd: number): Uint8Array {
  const width = leastOffsetWidth(bodyEnd, ends.length);
  const bytes = new Uint8Array(ends.length * width);
  const view = new DataView(bytes.buffer);
  ends.forEach((end, index) => {
    if (width === 1) {
      view.setUint8(index, end);
    } else if (width === 2) {
      view.setUint16(index * 2, end, true);
    } else {
      view.setUint32(index * 4, end, true);
    }
  });
  return bytes;
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) {
    return first;
  }
  return new Uint8Array(Buffer.concat(pieces));
}
