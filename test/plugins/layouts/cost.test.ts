/** What layers cost clients that take every build, and those that skip some. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Costs } from '../../../plugins/layouts/cost.js';
import { expectedDownload } from '../../../plugins/layouts/expected-download.js';
import { stabilities } from '../../../plugins/layouts/probability.js';
import { must } from '../../../src/errors.js';
import type { Component, Layout, LayoutLimits } from '../../../src/plugin.js';

test('a client that takes every k-th build fetches what changed in any of k updates', () => {
  const bytes = (cadences?: number[]) => new Costs({ cadences }).expectedBytes(1024, 0.5);
  assert.equal(bytes(), 512);
  assert.equal(bytes([1]), 512);
  assert.equal(bytes([2]), 1024 * (3 / 4 / 2));
  assert.equal(bytes([4]), 1024 * (15 / 16 / 4));
  assert.equal(bytes([1, 1, 4]), (2 * bytes([1]) + bytes([4])) / 3);
});

test('a layout costs those clients least for whom it is made', () => {
  const all = Array.from({ length: 200 }, (_, i): Component => {
    const size = 1e5 * 200 ** (((i * 7919) % 200) / 200);
    const id = `c${i}`;
    return { id, name: id, source: id, size, changesPerYear: (i * 104729) % 400, version: '1' };
  });
  const limits = { maxLayers: 20, prior: [] };
  const often = expectedDownload.plan(all, limits);
  const seldom = expectedDownload.plan(all, { ...limits, clientCadence: [4] });
  const cost = (layout: Layout, cadence: number) => costOf(layout, all, limits, cadence);
  assert.ok(cost(often, 1) < 0.99 * cost(seldom, 1));
  assert.ok(cost(seldom, 4) < 0.99 * cost(often, 4));
  const everyBuild = expectedDownload.plan(all, { ...limits, clientCadence: [1, 1] });
  assert.deepEqual(everyBuild, often);
});

function costOf(
  layout: Layout,
  all: readonly Component[],
  limits: LayoutLimits,
  cadence: number,
): number {
  const stability = stabilities(all, limits);
  const byId = new Map(all.map((each) => [each.id, each]));
  const costs = new Costs({ cadences: [cadence] });
  const layerCosts = layout.layers.map(({ components }) => {
    let size = 0;
    let unchanged = 1;
    for (const id of components) {
      const component = must(byId.get(id), id);
      size += component.size;
      unchanged *= must(stability.get(component.source), id).unchangedProbability;
    }
    return costs.expectedBytes(size, unchanged);
  });
  return layerCosts.reduce((sum, each) => sum + each, 0);
}
