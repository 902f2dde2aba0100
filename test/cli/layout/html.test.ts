/** What the page of `layout simulate --html` shows, computed from simulated builds. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { headlineOf } from '../../../src/cli/layout/html/headline.js';
import { layerCosts } from '../../../src/cli/layout/html/layer-costs.js';
import { hasDates, steadyDownload, weeklyDownload } from '../../../src/cli/layout/html/weekly.js';
import { type SimulationRun, simulateUpdates, summarize } from '../../../src/layout/simulate.js';

type Build = SimulationRun['chain'][number];

/** @param layers components of each layer with their versions, such as `a1 b2` */
function buildOf(build: string, date: string | undefined, layers: readonly string[]): Build {
  return {
    build,
    date,
    components: [],
    layers: layers.map((key) => {
      const components = key.split(' ').map((text) => text.replace(/\d+$/, ''));
      return {
        components,
        key,
        size: 10 * components.length,
      };
    }),
  };
}

function runOf(chain: readonly Build[], strategy = 'a', lag = 1): SimulationRun {
  const updates = simulateUpdates(chain, [], lag);
  const result = {
    series: 'series',
    strategy,
    maxLayers: 5,
    lag,
    ...summarize(updates),
  };
  return {
    result,
    chain,
    updates,
  };
}

const chain = [
  buildOf('1', '2026-01-01', ['a1 b1', 'c1', 'gone1']),
  buildOf('2', '2026-01-03', ['a2 b1', 'c1', 'gone2']),
  buildOf('3', '2026-01-05T12:00:00Z', ['a2 b2', 'c1']),
  buildOf('4', '2026-01-20', ['a2 b2', 'c2 d1']),
];

suite('a client that updates weekly', () => {
  test('takes the newest build of each week, and nothing in a week without one', () => {
    const { points, updates, bytes } = weeklyDownload(chain);
    const day = (text: string) => Date.parse(text);
    assert.deepEqual(points, [
      [day('2026-01-01'), 0],
      [day('2026-01-08'), 20],
      [day('2026-01-15'), 20],
      [day('2026-01-22'), 40],
    ]);
    assert.deepEqual([updates, bytes], [2, 40]);
  });

  test('is told from one that takes every build, which downloads more', () => {
    assert.equal(steadyDownload(chain).bytes, 30 + 20 + 20);
    assert.equal(hasDates(chain), true);
  });

  test('is not shown if a build has no date, or is older than the one before', () => {
    assert.equal(hasDates([buildOf('1', undefined, [])]), false);
    assert.equal(hasDates(chain.toReversed()), false);
  });

  test('downloads nothing from a series of one build or none', () => {
    assert.equal(weeklyDownload(chain.slice(0, 1)).bytes, 0);
    assert.deepEqual(weeklyDownload([]), { points: [], updates: 0, bytes: 0 });
  });
});

suite('the cost of each layer', () => {
  test('counts every byte once, those of layers that are gone in a row of their own', () => {
    const run = runOf(chain);
    const costs = layerCosts(run);
    assert.deepEqual(
      costs.map(({ components, fetched }) => [components.join(), ...fetched]),
      [
        ['a,b', 20, 20, 0],
        ['c,d', 0, 0, 20],
        ['', 10, 0, 0],
      ],
    );
    const bytes = costs.reduce((sum, cost) => sum + cost.bytes, 0);
    assert.equal(bytes, run.result.bytes);
  });
});

suite('the headline', () => {
  test('names the layout that costs least, and by how much the next one costs more', () => {
    const other = chain.map((each, i) => ({
      ...each,
      layers: [buildOf('', '', [`a${i} b c`]).layers].flat(),
    }));
    assert.equal(
      headlineOf([runOf(other, 'whole'), runOf(chain, 'apart')]),
      'Updates cost least with apart: 23 B on average; the next best, whole, costs 28.6 % more',
    );
  });

  test('of one layout compares it with one layer for each component', () => {
    assert.match(headlineOf([runOf(chain)]), /^Updates cost 23 B on average, 1\.000 times/);
  });

  test('says that no update can be simulated, rather than that all cost nothing', () => {
    const short = chain.slice(0, 1);
    const text = headlineOf([runOf(short), runOf(short, 'b')]);
    assert.equal(text, 'The series series has too few builds for an update');
  });

  test('does not compare what was measured on other series or with another lag', () => {
    assert.match(headlineOf([runOf(chain), runOf(chain, 'b', 2)]), /^In series, updates cost 23 B/);
  });
});
