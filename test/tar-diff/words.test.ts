import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, equalRun, wordsOf } from '../../src/tar-diff/words.js';
import { randomNumbers } from '../support/random-damage.js';

test('words count the same equal bytes as a comparison byte by byte', () => {
  const random = randomNumbers(5);
  const bytes = (size: number) => Uint8Array.from({ length: size }, () => random(3) * 0x7f);
  for (let round = 0; round < 500; round++) {
    const size = random(20);
    const aStart = random(5);
    const bStart = random(5);
    const a = bytes(aStart + size);
    const b = bytes(bStart + size);
    b.set(a.subarray(aStart, aStart + random(size + 1)), bStart);
    const isEqual = Array.from({ length: size }, (_, i) => a[aStart + i] === b[bStart + i]);
    const run = isEqual.includes(false) ? isEqual.indexOf(false) : size;
    const count = isEqual.filter(Boolean).length;
    assert.equal(equalRun(wordsOf(a), aStart, wordsOf(b), bStart, size), run);
    assert.equal(equalBytes(wordsOf(a), aStart, wordsOf(b), bStart, size), count);
  }
});
