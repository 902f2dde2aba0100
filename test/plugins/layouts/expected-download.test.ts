import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { expectedDownload } from '../../../plugins/layouts/expected-download.js';
import { changeProbabilities } from '../../../plugins/layouts/probability.js';
import type { ChangeHistory, Component, Layout, LayoutLimits } from '../../../src/plugin.js';

const component = (i: number, size: number, changesPerYear: number): Component => ({
  id: `c${i}`,
  name: `c${i}`,
  source: `c${i}`,
  size,
  changesPerYear,
  version: '1',
});
const system = fc
  .array(fc.tuple(fc.nat(1e8), fc.oneof(fc.nat(100), fc.constant(Infinity))), { minLength: 2, maxLength: 120 })
  .map((all) => all.map(([size, rate], i) => component(i, size, rate)));

/** Bytes that clients are expected to fetch with the next update. */
function expectedBytes(layout: Layout, components: readonly Component[]): number {
  const chance = changeProbabilities(components);
  const byId = new Map(components.map((each) => [each.id, each]));
  return layout.layers.reduce((sum, layer) => {
    const members = layer.components.map((id) => byId.get(id) as Component);
    const stays = members.reduce((product, { source }) => product * (1 - (chance.get(source) ?? 0)), 1);
    return sum + members.reduce((bytes, { size }) => bytes + size, 0) * (1 - stays);
  }, 0);
}

suite('layouts of expected-download', () => {
  for (const [from, more] of [
    ['a dirty image', { prior: [] }],
    ['no image', {}],
  ] as const satisfies readonly (readonly [string, Partial<LayoutLimits>])[])
    test(`more layers never cost more than 1 %, planned on ${from}`, () => {
      fc.assert(
        fc.property(system, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (all, count, extra) => {
          const cost = (maxLayers: number) => expectedBytes(expectedDownload.plan(all, { maxLayers, ...more }), all);
          const [few, many] = [cost(count), cost(count + extra)];
          assert.ok(many <= few * 1.01 + 1, `${count} layers: ${few}, ${count + extra}: ${many}`);
        }),
        { numRuns: 500 },
      );
    });

  test('ten thousand source packages take seconds, not minutes', () => {
    const all = Array.from({ length: 10_000 }, (_, i) => component(i, ((i * 7919) % 1000) ** 2, (i * 31) % 50));
    const start = performance.now();
    assert.equal(expectedDownload.plan(all, { maxLayers: 64, prior: [] }).layers.length, 64);
    assert.ok(performance.now() - start < 20_000);
  });
});

suite('probability of change', () => {
  const seen = (updates: number, changes: number): ChangeHistory =>
    new Map(['c1', 'c2', 'c3'].map((id) => [id, { updates, changes }]));
  const all = [1, 2, 3, 4].map((i) => component(i, 1, 10));
  const chance = (history?: ChangeHistory) => changeProbabilities(all, history);

  test('what others of the system do tells of one whose history is not known', () => {
    assert.ok((chance(seen(100, 0)).get('c4') as number) < 0.5 * (chance().get('c4') as number));
    assert.ok((chance(seen(20, 15)).get('c4') as number) > 3 * (chance().get('c4') as number));
  });

  test('counts outweigh changelogs', () => {
    const own = chance(new Map([['c1', { updates: 50, changes: 25 }]]));
    assert.ok(Math.abs((own.get('c1') as number) - (1 - Math.exp(-0.5))) < 0.05);
    const always = changeProbabilities([component(1, 1, Infinity)], seen(50, 5)).get('c1') as number;
    assert.ok(always > 0.1 && always < 0.15, `${always}`);
  });
});
