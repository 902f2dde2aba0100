/** The label `ostrata.layout`: round trips, damaged labels, and labels that are too large. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { single } from '../../plugins/layouts/single.js';
import { fingerprint } from '../../src/layout/history.js';
import { planLayout } from '../../src/layout/plan.js';
import {
  decodeRecord,
  encodeRecord,
  MAX_RECORD_BYTES,
  recordFromNames,
  recordOf,
} from '../../src/layout/record.js';
import type { Logger } from '../../src/log.js';
import type { Component } from '../../src/plugin.js';

function listening(): Logger & { warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, warn: (message) => warnings.push(message), info() {}, progress() {} };
}
const component = (id: string, source = id): Component => ({
  id,
  name: id.split('.')[0] ?? id,
  source,
  size: 1,
  changesPerYear: 1,
  version: `${id}-1`,
});

test('a record is read back as it was written', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { minLength: 1 }),
      fc.nat(9),
      fc.option(fc.string(), { nil: undefined }),
      (ids, changes, key) => {
        const log = listening();
        const components = ids.map((id) => component(id));
        const history = new Map(ids.map((id, i) => [id, { updates: i + 10, changes }]));
        const plan = { ...planLayout(components, single, { maxLayers: 1 }), history };
        const known =
          key === undefined ? [] : [{ key, changesPerYear: changes > 8 ? Infinity : changes }];
        const record = {
          ...recordOf(plan, known),
          chainId: key && `sha256:${key}`,
          commitKey: key,
        };
        assert.deepEqual(decodeRecord(encodeRecord(record, log) ?? '', log), record);
        assert.deepEqual(log.warnings, []);
      },
    ),
  );
});

test('a damaged or newer label is ignored with a warning, never an exception', () => {
  const good = encodeRecord({ layers: [{ components: ['a'] }] }, listening()) ?? '';
  const bad = [
    '',
    '{',
    'null',
    '[]',
    '{"version":2,"layers":[]}',
    '{"version":1}',
    '{"version":1,"layers":[{"ids":[1]}]}',
  ];
  for (const text of [...bad, good.replace('"a"', `"${'a'.repeat(MAX_RECORD_BYTES)}"`)]) {
    const log = listening();
    assert.equal(decodeRecord(text, log), undefined, text);
    assert.equal(log.warnings.length, 1);
    assert.match(log.warnings[0] ?? '', /^label ostrata\.layout is ignored: /);
  }
  fc.assert(
    fc.property(fc.json(), (text) => {
      decodeRecord(text, listening());
    }),
  );
});

test('counts of a tampered label are corrected: at most as many changes as updates', () => {
  const text =
    '{"version":1,"layers":[{"ids":["a","b"]}],"fingerprints":"abcdef","updates":[3],"changes":[9]}';
  const record = decodeRecord(text, listening());
  assert.deepEqual([...(record?.history ?? [])], [['a', { updates: 3, changes: 3 }]]);
  assert.deepEqual([...(record?.versions ?? [])], [['a', 'abcdef']]);
});

test('a record that is too large for a label loses its counts, then its fingerprints, then everything', () => {
  const record = (ids: number, length: number) => {
    const names = Array.from({ length: ids }, (_, i) => `${i}`.padStart(length, '-'));
    return {
      layers: [{ components: names }],
      versions: new Map(names.map((name) => [name, fingerprint(name)])),
      history: new Map(names.map((name) => [name, { updates: 100, changes: 50 }])),
    };
  };
  const log = listening();
  const kept = (text: string | undefined) => text && Object.keys(JSON.parse(text)).slice(2);
  assert.deepEqual(kept(encodeRecord(record(2000, 40), log)), [
    'fingerprints',
    'updates',
    'changes',
  ]);
  assert.deepEqual(kept(encodeRecord(record(2000, 47), log)), ['fingerprints']);
  assert.deepEqual(kept(encodeRecord(record(2000, 55), log)), []);
  assert.equal(encodeRecord(record(2000, 60), log), undefined);
  assert.equal(log.warnings.length, 1 + 2 + 3);
});

test('names on layers become ids of this tree, each in the first layer that names it', () => {
  const components = [
    component('bash.x86_64', 'bash'),
    component('glibc.i686', 'glibc'),
    component('glibc.x86_64', 'glibc'),
  ];
  const log = listening();
  assert.deepEqual(recordFromNames([['bash', 'gone'], [], ['glibc', 'bash']], components, log), {
    layers: [
      { components: ['bash.x86_64'] },
      { components: [] },
      { components: ['glibc.i686', 'glibc.x86_64'] },
    ],
  });
  assert.equal(log.warnings.length, 1);
  assert.deepEqual(recordFromNames([['rpm/glibc', 'rpm/bash']], components, log).layers, [
    { components: ['bash.x86_64', 'glibc.i686', 'glibc.x86_64'] },
  ]);
});
