/** The default layout strategy: its costs, its running time and its probabilities of change. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { expectedDownload, stable } from '../../../plugins/layouts/expected-download.js';
import { stabilities } from '../../../plugins/layouts/probability.js';
import type { Whole } from '../../../plugins/layouts/unchanged.js';
import { must } from '../../../src/errors.js';
import type { ChangeCount, Component, Layout, LayoutLimits } from '../../../src/plugin.js';

const component = (i: number, size: number, changesPerYear: number): Component => ({
  id: `c${i}`,
  name: `c${i}`,
  source: `c${i}`,
  size,
  changesPerYear,
  version: '1',
});
const system = fc
  .array(fc.tuple(fc.nat(1e8), fc.oneof(fc.nat(100), fc.constant(Infinity))), {
    minLength: 2,
    maxLength: 120,
  })
  .map((all) => all.map(([size, rate], i) => component(i, size, rate)));

/**
 * For a first build of these sources, 6 layers by tiers and hashes cost 91.96, but 8 cost 95.46.
 */
const unlucky = [
  [0, 0],
  [0, 0],
  [22, Infinity],
  [62, 12],
  [496, 0],
  [8, 0],
  [0, 14],
  [22, Infinity],
  [0, 1],
  [22, Infinity],
].map(([size, rate], i) => component(i, size as number, rate as number));

/** Bytes that clients are expected to fetch with the next update. */
function expectedBytes(
  layout: Layout,
  components: readonly Component[],
  maxLayers: number,
): number {
  const stability = stabilities(components, { maxLayers });
  const byId = new Map(components.map((each) => [each.id, each]));
  return layout.layers.reduce((sum, layer) => {
    const members = layer.components.map((id) => byId.get(id) as Component);
    const stays = members.reduce(
      (product, { source }) => product * (stability.get(source)?.unchangedProbability ?? 1),
      1,
    );
    return sum + members.reduce((bytes, { size }) => bytes + size, 0) * (1 - stays);
  }, 0);
}

suite('layouts of expected-download', () => {
  for (const [from, more] of [
    ['a dirty image', { prior: [] }],
    ['no image', {}],
  ] as const satisfies readonly (readonly [string, Partial<LayoutLimits>])[]) {
    test(`more layers cost at most 1 % more than fewer, planned on ${from}`, () => {
      fc.assert(
        fc.property(
          system,
          fc.integer({ min: 1, max: 60 }),
          fc.integer({ min: 1, max: 60 }),
          (all, count, extra) => {
            const cost = (maxLayers: number) =>
              expectedBytes(expectedDownload.plan(all, { maxLayers, ...more }), all, maxLayers);
            const [few, many] = [cost(count), cost(count + extra)];
            assert.ok(many <= few * 1.01 + 1, `${count} layers: ${few}, ${count + extra}: ${many}`);
          },
        ),
        { numRuns: 500, examples: [[unlucky, 6, 2]] },
      );
    });
  }
});

test('with 32 and more layers a first layout costs less than the stable one', () => {
  const all = Array.from({ length: 300 }, (_, i) =>
    component(i, 1e5 + ((i * 7919) % 1e6), (i * 104729) % 60),
  );
  for (const maxLayers of [32, 63]) {
    const first = expectedDownload.plan(all, { maxLayers });
    const cost = expectedBytes(first, all, maxLayers);
    assert.ok(cost < 0.98 * expectedBytes(stable.plan(all, { maxLayers }), all, maxLayers));
  }
  const few = { maxLayers: 31 };
  assert.deepEqual(expectedDownload.plan(all, few), stable.plan(all, few));
  const later = { maxLayers: 63, prior: [] };
  assert.deepEqual(stable.plan(all, later), expectedDownload.plan(all, later));
});

suite('packages of one source', () => {
  const package_ = (id: string, source: string, size: number, changesPerYear: number) => ({
    ...component(0, size, changesPerYear),
    id,
    name: id,
    source,
  });
  const all = [
    package_('a1', 'a', 100, 1),
    package_('a2', 'a', 100, 1),
    package_('b1', 'b', 100, 50),
    package_('b2', 'b', 100, 50),
    package_('c', 'c', 100, 1),
  ];
  const layersOf = (limits: LayoutLimits) =>
    expectedDownload
      .plan(all, limits)
      .layers.map(({ components }) => components.join(' '))
      .sort();

  test('have layers of their own as far as there are layers to spare, the most expensive first', () => {
    assert.deepEqual(layersOf({ maxLayers: 3 }), ['a1 a2', 'b1 b2', 'c']);
    assert.deepEqual(layersOf({ maxLayers: 4 }), ['a1 a2', 'b1', 'b2', 'c']);
    assert.deepEqual(layersOf({ maxLayers: 5 }), ['a1', 'a2', 'b1', 'b2', 'c']);
  });

  test('stay in one layer until they change', () => {
    const prior = [
      { components: ['a1', 'a2'], dirty: false },
      { components: ['b1', 'b2', 'c'], dirty: true },
    ];
    assert.deepEqual(layersOf({ maxLayers: 9, prior }), ['a1 a2', 'b1', 'b2', 'c']);
  });
});

suite('probability of change', () => {
  const probability = (changesPerYear: number, count?: ChangeCount) =>
    1 -
    must(
      stabilities([component(1, 1, changesPerYear)], {
        maxLayers: 63,
        history: new Map(count && [['c1', count]]),
      }).get('c1'),
      'c1',
    ).unchangedProbability;

  test('changelog rates are scaled down; a component without a rate is expected to change every time', () => {
    assert.ok(probability(0) > 0);
    assert.ok(probability(26) > 0.05 && probability(26) < 0.2);
    assert.ok(probability(Infinity) > 0.85);
  });

  test('most parts are first expected to outlast a change of their component', () => {
    const whole = { id: 'c0', name: 'c0', source: 'c0', version: '1', size: 1 };
    const shareOfChanges = (changesPerYear: number) => {
      const parts = ['c0#a', 'c0#b'].map((id) => ({ ...whole, id, changesPerYear, partOf: 'c0' }));
      const stability = stabilities(parts, { maxLayers: 63 }).get('c0#a');
      const { unchangedProbability, wholes } = must(stability, 'the part');
      const [{ changeProbability }] = must(wholes, 'its component') as [Whole];
      return (1 - unchangedProbability) / changeProbability;
    };
    assert.ok(shareOfChanges(26) < 0.5);
    // Content of an unknown rate is likely to be generated by each build.
    assert.ok(shareOfChanges(Infinity) > 0.8);
  });

  test('observed changes outweigh changelogs', () => {
    for (const rate of [0, 26, Infinity]) {
      assert.ok(Math.abs(probability(rate, { updates: 200, changes: 100 }) - 0.5) < 0.05);
      assert.ok(
        probability(rate, { updates: 10, changes: 10 }) >
          probability(rate, { updates: 10, changes: 9 }),
      );
    }
  });
});

test('sums of rates that round differently in another order decide nothing', () => {
  const sizes = { ab: 0, '//b/a': 0, '.': 0, a: 0, 'éé.ab/': 0, b: 0, '/': 1, aa: 0, '🦀b': 1 };
  const all = Object.entries(sizes).map(([id, size]): Component => {
    const source = ['.', 'éé.ab/'].includes(id) ? 'glibc' : id;
    return { ...component(0, size, 0), id, source };
  });
  const history = new Map<string, ChangeCount>([
    ['.', { updates: 110, changes: 0 }],
    ['éé.ab/', { updates: 110, changes: 2 }],
    ['/', { updates: 6, changes: 6 }],
    ['aa', { updates: 115, changes: 92 }],
  ]);
  const limits = { maxLayers: 2, history, prior: [{ components: ['b'], dirty: false }] };
  const plan = (components: readonly Component[]) =>
    expectedDownload.plan(components, limits).layers.map((layer) => layer.components.toSorted());
  for (const [i] of all.entries()) {
    const rotated = [...all.slice(i), ...all.slice(0, i)];
    assert.deepEqual(plan(rotated).toSorted(), plan(all).toSorted());
  }
});
