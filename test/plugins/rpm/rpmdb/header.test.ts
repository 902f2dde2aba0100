/** Hand-made rpm headers: data types, regions, dribbles, and values out of bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpmHeader } from '../../../../plugins/rpm/rpmdb/header.js';
import { Tag, TagType } from '../../../../plugins/rpm/rpmdb/index.js';
import { buildHeader, type HeaderEntry } from '../../../support/build-header.js';

const corrupt = (message: RegExp) => ({ code: 'CORRUPT', message });

test('every data type is read', () => {
  const header = RpmHeader.parse(
    buildHeader([
      [5000, TagType.CHAR, [1, 255]],
      [5001, TagType.INT8, [2]],
      [5002, TagType.INT16, [0xfffe, 3]],
      [5003, TagType.INT32, [0xffffffff]],
      [5004, TagType.INT64, [2n ** 53n - 1n]],
      [5005, TagType.STRING, ['text']],
      [5006, TagType.BIN, [Uint8Array.of(0, 1, 0)]],
      [5007, TagType.STRING_ARRAY, ['', 'b', Uint8Array.of(0xff)]],
      [5008, TagType.I18NSTRING, ['C', 'de']],
    ]),
  );
  assert.deepEqual(header.numbers(5000), [1, 255]);
  assert.deepEqual(header.numbers(5001), [2]);
  assert.deepEqual(header.numbers(5002), [0xfffe, 3]);
  assert.deepEqual(header.numbers(5003), [0xffffffff]);
  assert.deepEqual(header.numbers(5004), [Number.MAX_SAFE_INTEGER]);
  assert.equal(header.text(5005), 'text');
  assert.deepEqual([...(header.binary(5006) ?? [])], [0, 1, 0]);
  assert.deepEqual(
    header.strings(5007)?.map((bytes) => [...bytes]),
    [[], [98], [0xff]],
  );
  assert.equal(header.text(5008), 'C');
  assert.equal(header.type(5008), TagType.I18NSTRING);
  assert.equal(header.numbers(4999), undefined);
  assert.deepEqual([...header.tags()], [5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008]);
});

test('reading a value as the wrong type is an error', () => {
  const header = RpmHeader.parse(
    buildHeader([
      [1000, TagType.STRING, ['x']],
      [1003, TagType.INT32, [1]],
    ]),
  );
  assert.throws(() => header.numbers(1000), corrupt(/tag 1000: type 6 holds no integers/));
  assert.throws(() => header.strings(1003), corrupt(/tag 1003: type 4 holds no strings/));
  assert.throws(() => header.binary(1003), corrupt(/tag 1003: type 4 is not binary/));
});

test('an integer beyond 2^53 is refused, not rounded', () => {
  const header = RpmHeader.parse(buildHeader([[Tag.LONGSIZE, TagType.INT64, [2n ** 53n]]]));
  assert.throws(() => header.number(Tag.LONGSIZE), { code: 'LIMIT', message: /9007199254740992/ });
});

test('a dribble overrides the region; the first entry counts within it', () => {
  const header = RpmHeader.parse(
    buildHeader(
      [
        [1000, TagType.STRING, ['built']],
        [1001, TagType.STRING, ['first']],
        [1001, TagType.STRING, ['second']],
      ],
      [
        [1000, TagType.STRING, ['installed']],
        [1008, TagType.INT32, [7]],
      ],
    ),
  );
  assert.equal(header.text(1000), 'installed');
  assert.equal(header.text(1001), 'first');
  assert.equal(header.number(1008), 7);
  assert.equal(header.has(Tag.HEADERIMMUTABLE), false);
});

test('dribbled base names replace old file names', () => {
  const old: HeaderEntry = [Tag.OLDFILENAMES, TagType.STRING_ARRAY, ['/a']];
  assert.ok(RpmHeader.parse(buildHeader([old])).has(Tag.OLDFILENAMES));
  const converted = RpmHeader.parse(
    buildHeader([old], [[Tag.BASENAMES, TagType.STRING_ARRAY, ['a']]]),
  );
  assert.equal(converted.has(Tag.OLDFILENAMES), false);
});

test('a header without region is read', () => {
  assert.equal(
    RpmHeader.parse(buildHeader([[1000, TagType.STRING, ['x']]], [], false)).text(1000),
    'x',
  );
});

test('counts and offsets beyond the data are refused with both numbers', () => {
  const change = (offset: number, value: number) => {
    const bytes = buildHeader([[1000, TagType.STRING_ARRAY, ['x', 'y']]]);
    bytes.writeUInt32BE(value, offset);
    return bytes;
  };
  assert.throws(() => RpmHeader.parse(new Uint8Array(4)), corrupt(/needs 4 bytes, has 0 of 4/));
  assert.throws(() => RpmHeader.parse(change(0, 0)), corrupt(/no index entries/));
  assert.throws(() => RpmHeader.parse(change(0, 70000)), {
    code: 'LIMIT',
    message: /70000, at most 65535/,
  });
  assert.throws(() => RpmHeader.parse(change(4, 2 ** 30)), {
    code: 'LIMIT',
    message: /1073741824, at most 268435455/,
  });
  assert.throws(
    () => RpmHeader.parse(change(4, 21)),
    corrupt(/2 entries and 21 bytes of data in 60 bytes/),
  );
  // 8: the region entry; 24: the entry of tag 1000; 40: the data, with the region's trailer at 4.
  assert.throws(() => RpmHeader.parse(change(12, 4)), corrupt(/region of type 4/));
  assert.throws(() => RpmHeader.parse(change(16, 5)), corrupt(/region trailer at 5 of 20 bytes/));
  assert.throws(
    () => RpmHeader.parse(change(52, -48 >>> 0)),
    corrupt(/region of 3 index entries in a header of 2/),
  );
  assert.throws(() => RpmHeader.parse(change(32, 21)), corrupt(/tag 1000: data at 21 of 20 bytes/));
  assert.throws(
    () => RpmHeader.parse(change(28, 12)).strings(1000),
    corrupt(/tag 1000: unknown type 12/),
  );
  assert.throws(
    () => RpmHeader.parse(change(36, 21)).strings(1000),
    corrupt(/tag 1000: 21 values of type 8 in 20 bytes/),
  );
  assert.throws(() => RpmHeader.parse(change(36, 20)).strings(1000), corrupt(/no terminating NUL/));
});
