// Numbers as reports print them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCount } from '../../../src/cli/output/format.js';

test('a comma stands before every three digits of a count', () => {
  const counts = [0, 7, 999, 1000, 12_345, 999_999, 1_000_000, 1_234_567_890];
  assert.deepEqual(
    counts.map(formatCount),
    counts.map((count) => count.toLocaleString('en-US')),
  );
});
