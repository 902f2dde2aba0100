/** The sources keep the limits of metrics.ts, such as line widths, sizes of functions and casts. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { measureSources } from './metrics.js';

suite('the sources keep the limits of npm run metrics', () => {
  for (const { name, limit, broken } of measureSources()) {
    if (limit !== undefined) {
      test(`${name}: ${limit}`, () => {
        assert.deepEqual(broken, []);
      });
    }
  }
});
