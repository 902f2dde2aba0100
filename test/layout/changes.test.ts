/** Which components differ between two builds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { componentChanges } from '../../src/layout/changes.js';
import { fingerprint } from '../../src/layout/history.js';
import type { LayoutRecord } from '../../src/layout/previous-layout.js';
import type { Component } from '../../src/plugin.js';

const component = (id: string, version: string): Component => ({
  id,
  name: id,
  source: id,
  size: 1,
  changesPerYear: 1,
  version,
});

test('changed, added and removed components are listed by id', () => {
  const previous: LayoutRecord = {
    layers: [{ components: ['same', 'changed'] }, { components: ['gone', 'unknown'] }],
    versions: new Map([
      ['same', fingerprint('1')],
      ['changed', fingerprint('1')],
      ['gone', fingerprint('1')],
    ]),
  };
  const components = [
    component('unknown', '2'),
    component('new', '1'),
    component('changed', '2'),
    component('same', '1'),
  ];
  assert.deepEqual(componentChanges(previous, components), [
    { id: 'changed', change: 'changed' },
    { id: 'gone', change: 'removed' },
    { id: 'new', change: 'added' },
  ]);
  assert.deepEqual(
    componentChanges(previous, components.toReversed()),
    componentChanges(previous, components),
  );
});
