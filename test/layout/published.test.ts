/** What updates between published images cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publishedUpdates } from '../../src/layout/published.js';

function image(build: string, diffIds: readonly string[]) {
  const published = diffIds.map((diffId) => ({ diffId, storedBytes: 10 }));
  return { build, published };
}

test('an update costs each layer that the earlier image lacks, equal ones once', () => {
  const builds = [
    image('1', ['base', 'empty', 'empty']),
    image('2', ['base', 'empty', 'new', 'twice', 'twice']),
  ];
  assert.deepEqual(publishedUpdates(builds, 1), [{ from: '1', to: '2', layers: 2, bytes: 20 }]);
});

test('there is no update from or to a build that is no image', () => {
  const builds = [image('1', ['a']), { build: '2' }, image('3', ['b'])];
  assert.deepEqual(publishedUpdates(builds, 1), []);
  assert.deepEqual(publishedUpdates(builds, 2), [{ from: '1', to: '3', layers: 1, bytes: 10 }]);
});
