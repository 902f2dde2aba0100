/**
 * Planning a layout: exclusive components, the contract of strategies, and what they see of the
 * previous image.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { single } from '../../plugins/layouts/single.js';
import type { LayoutComponent } from '../../src/components/component.js';
import { planLayout } from '../../src/layout/plan.js';
import { recordOf } from '../../src/layout/record.js';
import type { LayoutLimits, LayoutStrategy } from '../../src/plugin.js';

const component = (id: string, more: Partial<LayoutComponent> = {}): LayoutComponent => ({
  id,
  name: id,
  source: id,
  size: 100,
  changesPerYear: 1,
  version: '1',
  ...more,
});

function placing(layers: readonly string[][]): LayoutStrategy {
  return {
    name: 'placing',
    description: '',
    plan: () => ({ layers: layers.map((components) => ({ components })) }),
  };
}

/** `single`, noting the limits it was given. */
function spyingOn(seen: LayoutLimits[]): LayoutStrategy {
  return {
    ...single,
    plan(components, limits) {
      seen.push(limits);
      return single.plan(components, limits);
    },
  };
}

test('an exclusive component has a layer to itself, after the shared layers', () => {
  const components = [component('a', { exclusive: true }), component('c'), component('b')];
  assert.deepEqual(planLayout(components, single, { maxLayers: 2 }).layers, [
    { components: ['b', 'c'] },
    { components: ['a'], exclusive: true },
  ]);
});

test('if too many components are exclusive, the largest keep a layer, the rest share one, with a warning', () => {
  const components = ['a', 'b', 'c', 'd'].map((id, i) =>
    component(id, { exclusive: true, size: i }),
  );
  const warnings: string[] = [];
  const log = { warn: (message: string) => warnings.push(message), info() {}, progress() {} };
  assert.deepEqual(
    planLayout(components, single, { maxLayers: 3, log }).layers.map((layer) => layer.components),
    [['c'], ['d'], ['a', 'b']],
  );
  assert.equal(warnings.length, 1);
  assert.deepEqual(
    planLayout([...components, component('e')], single, { maxLayers: 1, log }).layers,
    [{ components: ['a', 'b', 'c', 'd', 'e'] }],
  );
});

test('an error names the strategy that broke its contract, and the component', () => {
  const components = [component('a'), component('b')];
  const cases: [string[][], RegExp][] = [
    [[['a']], /strategy placing: component b is in no layer/],
    [[['a', 'b'], ['b']], /strategy placing: component b is in layers 0 and 1/],
    [[['a', 'b', 'z']], /strategy placing: layer 0 holds component z/],
    [[['a'], ['b'], []], /strategy placing: 3 layers, at most 2/],
  ];
  for (const [layers, message] of cases) {
    assert.throws(() => planLayout(components, placing(layers), { maxLayers: 2 }), {
      code: 'PLUGIN',
      message,
    });
  }
  assert.throws(() => planLayout(components, single, { maxLayers: 0 }), { code: 'USAGE' });
});

test('the strategy sees the previous layers without removed ids; changed layers are dirty', () => {
  const seen: LayoutLimits[] = [];
  const spy = spyingOn(seen);
  const before = ['a', 'b', 'c', 'd', 'x'].map((id) =>
    component(id, id === 'x' ? { exclusive: true } : {}),
  );
  const first = planLayout(before, placing([['a'], ['b', 'c'], ['d']]), { maxLayers: 5 });
  const after = [component('a'), component('b'), component('d', { version: '2' }), component('e')];
  const plan = planLayout(after, spy, { maxLayers: 4, previous: recordOf(first) });
  assert.deepEqual(seen[0]?.prior, [
    { components: ['a'], dirty: false },
    { components: ['b'], dirty: true },
    { components: ['d'], dirty: true },
  ]);
  assert.deepEqual(
    [...plan.history],
    [
      ['a', { updates: 1, changes: 0 }],
      ['b', { updates: 1, changes: 0 }],
      ['d', { updates: 1, changes: 1 }],
    ],
  );
});

test('all layers of an image of another tool are dirty', () => {
  const seen: LayoutLimits[] = [];
  const spy = spyingOn(seen);
  planLayout([component('a')], spy, {
    maxLayers: 4,
    previous: { layers: [{ components: ['a'] }], fromOtherTool: true },
  });
  assert.deepEqual(seen[0]?.prior, [{ components: ['a'], dirty: true }]);
});

test('an id that a damaged record lists twice counts in the first layer', () => {
  const seen: LayoutLimits[] = [];
  const layers = [{ components: ['a', 'b'] }, { components: ['b'] }, { components: ['b'] }];
  planLayout([component('a'), component('b')], spyingOn(seen), {
    maxLayers: 4,
    previous: { layers },
  });
  assert.deepEqual(
    seen[0]?.prior?.map((layer) => layer.components),
    [['a', 'b'], [], []],
  );
});
