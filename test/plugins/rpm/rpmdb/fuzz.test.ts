/** Random damage to databases and headers, for a short while; `npm run fuzz` goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from './fuzz.js';

/** `npm run fuzz` runs as many cases as it is told. */
const CASES = 3000;
const SEED = 20261125;

test('damaged databases and headers give a value or an error with a code', async () => {
  const { values, errors } = await fuzz(CASES, SEED);
  assert.ok(values > CASES / 20, `${values} cases survived the damage`);
  assert.ok(errors > CASES / 4, `${errors} cases were damaged beyond reading`);
});
