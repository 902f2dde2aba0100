/**
 * GVariant containers: arrays, maybes, tuples and dictionary entries (which serialise as tuples).
 *
 * Members follow each other at their alignment (zero padding). A container with members of variable length ends in
 * framing offsets: where each such member ends, little-endian, 1, 2 or 4 bytes each by the size of the container
 * they are in; an array has one for every element, in order; a tuple one for every such member but its last, in
 * reverse order. A maybe is empty, or its value (and a zero byte if values vary in length). A tuple of fixed size is
 * padded to its alignment; the empty one is a zero byte.
 */
import { Cursor } from '../../bytes/cursor.js';
import { alignUp, fail, type GVariantType, memberType, misuse } from './type.js';

const NUL = new Uint8Array(1);

/** The members of a container as views of `bytes`, still serialised; `CORRUPT` unless in normal form. */
export function splitContainer(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (type.kind === 'array') {
    return splitArray(type, bytes);
  }
  if (type.kind === 'tuple') {
    return splitTuple(type, bytes);
  }
  if (type.kind === 'maybe') {
    return splitMaybe(type, bytes);
  }
  throw misuse(type, 'is no container');
}

/** A container of serialised members: the inverse of {@link splitContainer}. */
export function joinContainer(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (type.kind === 'array') {
    return joinArray(type, members);
  }
  if (type.kind === 'tuple') {
    return joinTuple(type, members);
  }
  if (type.kind !== 'maybe') {
    throw misuse(type, 'is no container');
  }
  if (members.length > 1) {
    throw misuse(type, `holds at most 1 value, not ${members.length}`);
  }
  return members.length === 0 || memberType(type, 0).size !== undefined
    ? concat(members)
    : concat([...members, NUL]);
}

function splitMaybe(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) {
    return [];
  }
  if (memberType(type, 0).size !== undefined) {
    return [bytes];
  }
  if (bytes[bytes.length - 1] !== 0) {
    throw fail(type, 'no zero byte after the value');
  }
  return [bytes.subarray(0, -1)];
}

function splitArray(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  const member = memberType(type, 0);
  if (bytes.length === 0) {
    return [];
  }
  const parts: Uint8Array[] = [];
  if (member.size !== undefined) {
    if (bytes.length % member.size !== 0) {
      throw fail(type, `${bytes.length} bytes are no multiple of ${member.size}`);
    }
    for (let at = 0; at < bytes.length; at += member.size) {
      parts.push(bytes.subarray(at, at + member.size));
    }
    return parts;
  }
  const width = offsetWidth(bytes.length);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  const bodyEnd = readOffset(offsets.seek(bytes.length - width), width);
  if (bodyEnd > bytes.length - width || (bytes.length - bodyEnd) % width !== 0) {
    throw fail(type, `last framing offset ${bodyEnd} in ${bytes.length} bytes`);
  }
  const body = bytes.subarray(0, bodyEnd);
  offsets.seek(bodyEnd);
  for (let at = 0; offsets.remaining > 0; ) {
    const end = readOffset(offsets, width);
    parts.push(sliceOf(type, body, skipPadding(type, body, at, member.alignment), end));
    at = end;
  }
  if (offsetWidthFor(bodyEnd, parts.length) !== width) {
    throw fail(type, `framing offsets of ${width} bytes, too wide`);
  }
  return parts;
}

function joinArray(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  const member = memberType(type, 0);
  const { pieces, ends, end } = layOut(members, () => member);
  if (member.size !== undefined) {
    return concat(pieces);
  }
  return concat([...pieces, encodeOffsets(ends, end)]);
}

function splitTuple(type: GVariantType, bytes: Uint8Array): Uint8Array[] {
  if (type.size !== undefined && bytes.length !== type.size) {
    throw fail(type, `expected ${type.size} bytes, got ${bytes.length}`);
  }
  const width = offsetWidth(bytes.length);
  const offsets = new Cursor(bytes, `GVariant ${type.signature}`);
  const { framed } = type;
  const bodyEnd = bytes.length - framed * width;
  if (bodyEnd < 0) {
    throw fail(type, `${bytes.length} bytes have no room for ${framed} offsets`);
  }
  const body = bytes.subarray(0, bodyEnd);
  const last = type.members.length - 1;
  let at = 0;
  let offsetAt = bytes.length;
  const parts = type.members.map((member, index) => {
    const start = skipPadding(type, body, at, member.alignment);
    let end: number;
    if (member.size !== undefined) {
      end = start + member.size;
    } else if (index === last) {
      end = bodyEnd;
    } else {
      offsetAt -= width;
      end = readOffset(offsets.seek(offsetAt), width);
    }
    at = end;
    return sliceOf(type, body, start, end);
  });
  if (type.size !== undefined) {
    at = skipZeros(type, body, at, bodyEnd);
  }
  if (at !== bodyEnd) {
    throw fail(type, `${bodyEnd - at} bytes after the last member`);
  }
  if (framed > 0 && offsetWidthFor(bodyEnd, framed) !== width) {
    throw fail(type, `framing offsets of ${width} bytes, too wide`);
  }
  return parts;
}

function joinTuple(type: GVariantType, members: readonly Uint8Array[]): Uint8Array {
  if (members.length !== type.members.length) {
    throw misuse(type, `needs ${type.members.length} members`);
  }
  const { pieces, ends, end } = layOut(members, (index) => memberType(type, index));
  if (type.size !== undefined) {
    return concat([...pieces, new Uint8Array(type.size - end)]);
  }
  const last = type.members.length - 1;
  const framed = ends.filter(
    (_, index) => index !== last && type.members[index]?.size === undefined,
  );
  return concat([...pieces, encodeOffsets(framed.reverse(), end)]);
}

/** Members at their alignment: the pieces with padding between, where each member ends, and where the last does. */
function layOut(members: readonly Uint8Array[], typeOf: (index: number) => GVariantType) {
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

function sliceOf(type: GVariantType, body: Uint8Array, start: number, end: number): Uint8Array {
  if (end < start || end > body.length) {
    throw fail(type, `member from ${start} to ${end} in ${body.length} bytes`);
  }
  return body.subarray(start, end);
}

/** The aligned offset from `at` on; what is skipped must be zero. */
function skipPadding(type: GVariantType, body: Uint8Array, at: number, alignment: number): number {
  return skipZeros(type, body, at, alignUp(at, alignment));
}

function skipZeros(type: GVariantType, body: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (body[at] !== 0) {
      throw fail(type, `padding at ${at} is not a zero byte`);
    }
  }
  return to;
}

/** Bytes of each framing offset in a container of `size` bytes. */
function offsetWidth(size: number): 1 | 2 | 4 {
  if (size <= 0xff) {
    return 1;
  }
  return size <= 0xffff ? 2 : 4;
}

/** Bytes of each of `count` framing offsets behind a body of `bodyEnd` bytes: the least that fits both. */
function offsetWidthFor(bodyEnd: number, count: number): 1 | 2 | 4 {
  if (bodyEnd + count <= 0xff) {
    return 1;
  }
  return bodyEnd + 2 * count <= 0xffff ? 2 : 4;
}

function readOffset(cursor: Cursor, width: 1 | 2 | 4): number {
  if (width === 1) {
    return cursor.u8();
  }
  return width === 2 ? cursor.u16(true) : cursor.u32(true);
}

/** What follows the members of a container, the last of which ends at `bodyEnd`. */
export function encodeOffsets(ends: readonly number[], bodyEnd: number): Uint8Array {
  const width = offsetWidthFor(bodyEnd, ends.length);
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
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8Array(Buffer.concat(pieces));
}
