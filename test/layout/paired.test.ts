/** Layouts are compared update by update: intervals, and when there is none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { comparisonsOf } from '../../src/layout/paired.js';
import { type SimulationRun, summarize } from '../../src/layout/simulate.js';

function runOf(strategy: string, maxLayers: number, bytes: readonly number[], lag = 1) {
  const updates = bytes.map((each, i) => {
    return { from: `${i}`, to: `${i + lag}`, bytes: each, boundBytes: each, partBoundBytes: each };
  });
  const result = { series: 's', strategy, maxLayers, lag, ...summarize(updates) };
  const run: SimulationRun = { result, updates, chain: [] };
  return run;
}

/** Updates of very different sizes. */
const sizes = Array.from({ length: 30 }, (_, i) => 1000 * (1 + ((i * 7) % 30)));

suite('simulated layouts', () => {
  test('that cost 10 % more with each update are 10 % worse without any doubt', () => {
    const worse = sizes.map((bytes) => bytes * 1.1);
    const [best, other] = comparisonsOf([runOf('a', 64, sizes), runOf('b', 64, worse)]);
    assert.deepEqual(best?.all.best, { strategy: 'a', maxLayers: 64 });
    assert.equal(best?.all.percent, 0);
    assert.deepEqual(best?.all.interval, { low: 0, high: 0 });
    for (const percent of [
      other?.all.percent,
      other?.all.interval?.low,
      other?.all.interval?.high,
    ]) {
      assert.ok(Math.abs((percent ?? 0) - 10) < 1e-9, `${percent}`);
    }
  });

  test('that differ now in one direction, now in the other, cannot be told apart', () => {
    const other = sizes.map((bytes, i) => bytes + (i % 2 === 0 ? 300 : -280));
    const [, compared] = comparisonsOf([runOf('a', 64, sizes), runOf('b', 64, other)]);
    const { low = 0, high = 0 } = compared?.all.interval ?? {};
    assert.ok(low < 0 && high > 0, `${low} to ${high}`);
  });

  test('are compared with the best of as many layers, and with the best of all', () => {
    const runs = [
      runOf(
        'a',
        32,
        sizes.map((bytes) => bytes * 2),
      ),
      runOf(
        'b',
        32,
        sizes.map((bytes) => bytes * 3),
      ),
      runOf('a', 64, sizes),
      runOf(
        'b',
        64,
        sizes.map((bytes) => bytes * 1.5),
      ),
    ];
    const compared = comparisonsOf(runs).map(({ strategy, maxLayers, sameLayers, all }) => {
      return [strategy, maxLayers, Math.round(sameLayers.percent), Math.round(all.percent)];
    });
    assert.deepEqual(compared, [
      ['a', 32, 0, 100],
      ['b', 32, 50, 200],
      ['a', 64, 0, 0],
      ['b', 64, 50, 50],
    ]);
  });

  test('have an interval only with six updates that share no build', () => {
    const intervals = (count: number, lag: number) => {
      const bytes = sizes.slice(0, count);
      const runs = [runOf('a', 64, bytes, lag), runOf('b', 64, bytes, lag)];
      return comparisonsOf(runs).map(({ all }) => all.interval !== undefined);
    };
    assert.deepEqual(intervals(5, 1), [false, false]);
    assert.deepEqual(intervals(6, 1), [true, true]);
    assert.deepEqual(intervals(23, 4), [false, false]);
    assert.deepEqual(intervals(24, 4), [true, true]);
  });

  test('are without a comparison if they are alone, or without updates', () => {
    assert.deepEqual(comparisonsOf([runOf('a', 64, sizes), runOf('a', 64, sizes, 4)]), []);
    assert.deepEqual(comparisonsOf([]), []);
    assert.deepEqual(comparisonsOf([runOf('a', 64, []), runOf('b', 64, [])]), []);
  });
});
