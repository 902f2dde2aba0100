// The choice of rows by `npm run bench -- --only`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseSubjects } from './choose.js';
import type { Subject } from './subjects.js';

test('a row that is chosen brings those that it is compared with and uses', () => {
  const run = () => ({ seconds: 0 });
  const all: readonly Subject[] = [
    { name: 'first', run },
    { name: 'plain', run },
    { name: 'compared', reference: 'plain', run },
    { name: 'cached', uses: 'compared', run },
    { name: 'other', reference: 'not installed', run },
  ];
  const chosen = (...texts: readonly string[]) =>
    chooseSubjects(all, texts).map(({ name }) => name);
  assert.deepEqual(chosen('cache'), ['first', 'plain', 'compared', 'cached']);
  assert.deepEqual(chosen('other', 'plain'), ['first', 'plain', 'other']);
  assert.deepEqual(chosen(), ['first']);
  assert.equal(chooseSubjects(all, undefined), all);
});
