/** The history of changes: which updates are counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fingerprint } from '../../src/layout/history.js';
import { historySince, type LayoutRecord } from '../../src/layout/previous-layout.js';
import type { Component } from '../../src/plugin.js';

const ids = ['a', 'b', 'c', 'd'];
const build = (versions: string): Component[] =>
  ids.map((id, i) => ({
    id,
    name: id,
    source: id,
    size: 1,
    changesPerYear: 1,
    version: versions[i] ?? '',
  }));
const previous = (versions: string, history?: LayoutRecord['history']): LayoutRecord => ({
  layers: [{ components: ids }],
  versions: new Map(ids.map((id, i) => [id, fingerprint(versions[i] ?? '')])),
  history,
});

test('an ordinary update is counted for each component that both builds have', () => {
  const first = historySince(previous('1111'), build('1112'));
  assert.deepEqual(first.get('a'), { updates: 1, changes: 0 });
  assert.deepEqual(first.get('d'), { updates: 1, changes: 1 });
  const second = historySince(previous('1112', first), build('2112'));
  assert.deepEqual(second.get('a'), { updates: 2, changes: 1 });
  assert.deepEqual(second.get('d'), { updates: 2, changes: 1 });
});

test('a rebase (half or more changed) and a rebuild (nothing changed) are not counted', () => {
  const known: LayoutRecord['history'] = new Map([['a', { updates: 3, changes: 2 }]]);
  assert.deepEqual([...historySince(previous('1111', known), build('2211'))], [...known]);
  assert.deepEqual([...historySince(previous('1111', known), build('1111'))], [...known]);
});

test('large counts are halved', () => {
  const known: LayoutRecord['history'] = new Map([['a', { updates: 128, changes: 64 }]]);
  assert.deepEqual(historySince(previous('1111', known), build('1112')).get('a'), {
    updates: 65,
    changes: 32,
  });
});
