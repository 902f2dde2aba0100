/** Strict UTF-8, and the order of strings by their bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8, decodeUtf8, isPrintableAscii } from '../../src/bytes/text.js';

const text = fc.string({ unit: 'binary', maxLength: 10 });

test('strings are compared by their UTF-8 bytes', () => {
  assert.ok(compareUtf8('\uffff', '\u{10000}') < 0, 'other than by UTF-16 code units');
  fc.assert(
    fc.property(text, text, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareUtf8(a, b)), expected);
    }),
  );
});

test('bytes that are not UTF-8 are not decoded, and a byte order mark is kept', () => {
  assert.equal(decodeUtf8(Buffer.of(0xff)), undefined);
  assert.equal(decodeUtf8(Buffer.from([0xed, 0xa0, 0x80])), undefined, 'a lone surrogate');
  assert.equal(decodeUtf8(Buffer.from('\ufeffa')), '\ufeffa');
});

test('printable ASCII excludes control characters', () => {
  assert.ok(isPrintableAscii('usr/bin/[ ~'));
  for (const other of ['\n', '\0', '\x7f', 'é']) {
    assert.ok(!isPrintableAscii(other), JSON.stringify(other));
  }
});
