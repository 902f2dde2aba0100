/** Reading numbers and byte strings within their bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cursor } from '../../src/bytes/cursor.js';

test('numbers are read in both byte orders', () => {
  const bytes = Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8);
  const view = new DataView(bytes.buffer);
  for (const littleEndian of [false, true]) {
    const cursor = () => new Cursor(bytes, 'test');
    assert.equal(cursor().u8(), 0xff);
    assert.equal(cursor().u16(littleEndian), view.getUint16(0, littleEndian));
    assert.equal(cursor().u32(littleEndian), view.getUint32(0, littleEndian));
    assert.equal(cursor().u64(littleEndian), view.getBigUint64(0, littleEndian));
  }
});

test('reading past the end is an error that names the input, the offset and both sizes', () => {
  const cursor = new Cursor(new Uint8Array(7), 'test').seek(4);
  const reads = { u32: () => cursor.u32(), u64: () => cursor.u64(), take: () => cursor.take(4) };
  for (const [name, read] of Object.entries(reads)) {
    assert.throws(read, {
      code: 'CORRUPT',
      message: /^test: needs [48] bytes, has 3 of 7 \(offset 4\)$/,
    });
    assert.equal(cursor.offset, 4, `${name} does not move the cursor`);
  }
});

test('lengths and offsets that are negative or not numbers are refused', () => {
  const cursor = new Cursor(new Uint8Array(7), 'test');
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => cursor.take(value), { code: 'CORRUPT' });
    assert.throws(() => cursor.seek(value), { code: 'CORRUPT' });
  }
});

test('a string ends at its NUL, which must be there', () => {
  const cursor = new Cursor(Buffer.from('ab\0cd'), 'test');
  assert.equal(Buffer.from(cursor.untilNul()).toString(), 'ab');
  assert.equal(cursor.offset, 3);
  assert.throws(() => cursor.untilNul(), { code: 'CORRUPT', message: /no terminating NUL/ });
});
