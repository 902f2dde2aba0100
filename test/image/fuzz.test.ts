/** Random changes of images, for a short while; `npm run fuzz` goes on. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { needs } from '../support/tools.js';
import { fuzzImages } from './fuzz.js';

/** `npm run fuzz` runs as many cases as it is told. */
const CASES = 100;
const SEED = 20261128;

suite('random changes of images', needs('ostree', 'tar', 'python'), () => {
  test('get one verdict from verify, pull, ostree fsck, GNU tar and tarfile', async () => {
    const { accepted, pulledOnly, refused } = await fuzzImages(CASES, SEED);
    assert.ok(accepted > CASES / 5, `${accepted} images survived the change`);
    assert.ok(pulledOnly < CASES / 10, `${pulledOnly} images were refused by verify only`);
    assert.ok(refused > CASES / 5, `${refused} images were changed for the worse`);
  });
});
