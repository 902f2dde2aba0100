// The reader of printed signatures that the end-to-end tests use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseByteArrays } from '../support/commit-signatures.js';

test('byte arrays are read in both forms in which GVariant prints them', () => {
  const text = String.raw`[[byte 0x01, 0x00], b"\031'\"\\\n_", b'a\377"]', [0x02, 0x03]]`;
  assert.deepEqual(parseByteArrays(text), [
    Buffer.from('0100', 'hex'),
    Buffer.from('\x19\'"\\\n_\0', 'latin1'),
    Buffer.from('a\xff"]\0', 'latin1'),
    Buffer.from('0203', 'hex'),
  ]);
});

test('a signature without a zero byte but its last one has all its bytes', () => {
  const text = [
    String.raw`[b"r\031b_\313\0249/*\214T\333O\335/u\332P\334\247+mo|\"P\365C'\0046\bI\306`,
    String.raw`\314\350\246\357\233\267|E\307\346\b\235\3342\237&\201\201\"J\262O\216\205\242X_;?"]`,
  ].join('');
  assert.deepEqual(
    parseByteArrays(text).map(({ length }) => length),
    [64],
  );
});
