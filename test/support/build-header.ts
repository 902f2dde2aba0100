/** Makes rpm header blobs, as package databases store them (see plugins/rpm/rpmdb/header.ts). */
import { Tag, TagType } from '../../plugins/rpm/rpmdb/index.js';

/** A header entry: its tag, type and values; strings are given as text or bytes. */
export type HeaderEntry = readonly [
  tag: number,
  type: number,
  values: readonly (number | bigint | string | Uint8Array)[],
];

/**
 * Makes a header of `entries` inside an immutable region (tag 63), followed by `dribbles`, the
 * entries that rpm adds later. Without `region` all entries are plain, as rpm 3 wrote them.
 */
export function buildHeader(
  entries: readonly HeaderEntry[],
  dribbles: readonly HeaderEntry[] = [],
  region = true,
): Buffer {
  const index: Buffer[] = [];
  const data: Buffer[] = [];
  let length = 0;
  const append = (bytes: Buffer) => {
    data.push(bytes);
    length += bytes.length;
  };
  const add = ([tag, type, values]: HeaderEntry) => {
    append(Buffer.alloc(-length & (alignment(type) - 1)));
    const bytes = type === TagType.BIN;
    const count = bytes ? encode(type, values[0] as Uint8Array).length : values.length;
    index.push(indexEntry(tag, type, length, count));
    for (const value of values) {
      append(encode(type, value));
    }
  };
  for (const entry of entries) {
    add(entry);
  }
  if (region) {
    index.unshift(indexEntry(Tag.HEADERIMMUTABLE, TagType.BIN, length, 16));
    append(indexEntry(Tag.HEADERIMMUTABLE, TagType.BIN, -16 * index.length, 16));
  }
  for (const entry of dribbles) {
    add(entry);
  }
  const head = Buffer.alloc(8);
  head.writeUInt32BE(index.length, 0);
  head.writeUInt32BE(length, 4);
  return Buffer.concat([head, ...index, ...data]);
}

/** Makes the smallest header that the reader accepts as a package. */
export function namedHeader(name: string, ...more: readonly HeaderEntry[]): Buffer {
  return buildHeader([
    [Tag.NAME, TagType.STRING, [name]],
    [Tag.VERSION, TagType.STRING, ['1']],
    [Tag.RELEASE, TagType.STRING, ['2']],
    ...more,
  ]);
}

function indexEntry(tag: number, type: number, offset: number, count: number): Buffer {
  const entry = Buffer.alloc(16);
  entry.writeUInt32BE(tag, 0);
  entry.writeUInt32BE(type, 4);
  entry.writeInt32BE(offset, 8);
  entry.writeUInt32BE(count, 12);
  return entry;
}

function alignment(type: number): number {
  if (type === TagType.INT16) {
    return 2;
  }
  if (type === TagType.INT32) {
    return 4;
  }
  return type === TagType.INT64 ? 8 : 1;
}

function encode(type: number, value: number | bigint | string | Uint8Array): Buffer {
  if (typeof value === 'string') {
    return Buffer.from(`${value}\0`);
  }
  if (value instanceof Uint8Array) {
    return type === TagType.BIN ? Buffer.from(value) : Buffer.concat([value, Buffer.alloc(1)]);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.subarray(8 - (type === TagType.CHAR || type === TagType.INT8 ? 1 : alignment(type)));
}
