/** Layouts are simulated by several threads or machines, and the report is that of one process. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { layoutNames, loadLayoutStrategy } from '../../../plugins/index.js';
import { parseJson } from '../../../src/bytes/json.js';
import { htmlReport } from '../../../src/cli/layout/html/report.js';
import { must } from '../../../src/errors.js';
import { readSeries } from '../../../src/layout/series.js';
import {
  partsOfBuilds,
  simulateChain,
  simulateUpdates,
  summarize,
} from '../../../src/layout/simulate.js';
import { repoRoot } from '../../support/root.js';
import { ostrata, tryOstrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const FIRMWARE = join(repoRoot, 'rpmdb-fixtures/series/firmware.jsonl.gz');
const RPMDBS = join(repoRoot, 'rpmdb-fixtures/series/rpmdb');
const OPTIONS = ['--strategy=expected-download,single', '--max-layers=33', '--lag=1,4'];
const COUNT = 3;

const namesSchema = v.object({
  results: v.array(v.object({ series: v.string() })),
  comparisons: v.array(v.unknown()),
});

const scratch = scratchDirectory();
const pathOf = (name: string) => join(scratch, name);
const simulate = (...args: readonly string[]) =>
  ostrata(['layout', 'simulate', FIRMWARE, RPMDBS, ...OPTIONS, ...args]);

/** Writes a shard, and returns its path. */
function writeShard(name: string, index: number, ...args: readonly string[]): string {
  const path = pathOf(name);
  writeFileSync(path, simulate(`--shard=${index}/${COUNT}`, ...args));
  return path;
}

suite('a simulation', () => {
  let text: string;
  let html: string;
  const shards: string[] = [];
  before(() => {
    text = simulate('--jobs=1', `--html=${pathOf('one.html')}`);
    html = readFileSync(pathOf('one.html'), 'utf8');
    for (let index = 1; index <= COUNT; index++) {
      shards.push(writeShard(`${index}.json`, index));
    }
  });

  const report = (...args: readonly string[]) => ostrata(['layout', 'report', ...args]);
  const refusal = (...args: readonly string[]) => {
    const { status, stderr } = tryOstrata(['layout', 'report', ...args]);
    assert.equal(status, 2, stderr);
    return stderr;
  };

  test('prints the same whatever the number of threads', () => {
    assert.equal(simulate('--jobs=4'), text);
  });

  test('prints the same when it is put together from shards, in any order', () => {
    const mixed = shards.toReversed();
    assert.equal(report(...mixed, `--html=${pathOf('merged.html')}`), text);
    assert.ok(readFileSync(pathOf('merged.html'), 'utf8') === html);
    assert.equal(report(...mixed, '--json'), simulate('--json'));
  });

  test('draws what a simulation in one thread gives', async () => {
    const builds = await readSeries(FIRMWARE);
    const parts = partsOfBuilds(builds);
    const strategy = must(await loadLayoutStrategy(layoutNames[0] ?? ''), 'a layout');
    const chain = simulateChain(builds, strategy, { maxLayers: 128 });
    const updates = simulateUpdates(chain, parts, 4);
    const result = { series: 'firmware', strategy: strategy.name, maxLayers: 129, lag: 4 };
    const expected = htmlReport([{ result: { ...result, ...summarize(updates) }, chain, updates }]);

    const path = pathOf('single.html');
    ostrata(['layout', 'simulate', FIRMWARE, '--max-layers=129', '--lag=4', `--html=${path}`]);
    assert.ok(readFileSync(path, 'utf8') === expected);
  });

  test('can have more shards than work', () => {
    const paths = [1, 2].map((index) => {
      const path = pathOf(`rpmdb-${index}.json`);
      writeFileSync(path, ostrata(['layout', 'simulate', RPMDBS, `--shard=${index}/2`]));
      return path;
    });
    assert.equal(report(...paths), ostrata(['layout', 'simulate', RPMDBS]));
  });

  test('can have gzipped shards', () => {
    const [first = '', ...others] = shards;
    const path = pathOf('1.json.gz');
    writeFileSync(path, gzipSync(readFileSync(first)));
    assert.equal(report(path, ...others), text);
  });

  test('is refused if shards are missing, which are named', () => {
    assert.match(refusal(shards[1] ?? ''), /shards are missing: 1\/3, 3\/3\n/);
  });

  test('is refused if a shard is given twice, which is named with both files', () => {
    const copy = pathOf('copy.json');
    writeFileSync(copy, readFileSync(shards[1] ?? ''));
    const message = refusal(...shards, copy);
    assert.ok(
      message.includes(`shard 2/3 is given twice: in ${shards[1]} and in ${copy}\n`),
      message,
    );
  });

  test('is refused if a shard belongs to another experiment, and what differs is named', () => {
    const [first = '', second = ''] = shards;
    const otherLag = writeShard('lag.json', 3, '--lag=2');
    assert.match(refusal(first, second, otherLag), /lag\.json belongs to another .*option --lag\n/);
    const fewerBuilds = pathOf('fewer.json');
    const args = ['layout', 'simulate', FIRMWARE, ...OPTIONS, '--shard=3/3'];
    writeFileSync(fewerBuilds, ostrata(args));
    assert.match(refusal(first, second, fewerBuilds), /to another experiment .*: other builds\n/);
  });

  test('is refused if a shard is damaged, in one line', () => {
    const shardSchema = v.looseObject({ outcomes: v.array(v.looseObject({})) });
    const shard = parseJson(readFileSync(shards[0] ?? '', 'utf8'), shardSchema);
    const damaged = pathOf('damaged.json');
    for (const [text, rule] of [
      ['', /CORRUPT|JSON/],
      [
        JSON.stringify({ ...shard, outcomes: shard.outcomes.slice(1) }),
        /lacks results of the share/,
      ],
      [JSON.stringify({ ...shard, outcomes: shard.outcomes.with(0, {}) }), /outcomes\.0/],
    ] as const) {
      writeFileSync(damaged, text);
      const { status, stderr } = tryOstrata(['layout', 'report', damaged]);
      assert.equal(status, 1);
      assert.match(stderr, /^error: shard .*\n$/);
      assert.match(stderr, rule);
    }
  });

  test('has shards counted from 1', () => {
    for (const shard of ['0/3', '4/3', '1', '1/99999']) {
      const { status, stderr } = tryOstrata(['layout', 'simulate', FIRMWARE, `--shard=${shard}`]);
      assert.equal(status, 2, shard);
      assert.match(stderr, /expected I\/N/);
    }
  });
});

test('series with the same name are told apart by their paths, and not compared', () => {
  const names = ['stable', 'testing'].map((folder, i) => {
    mkdirSync(pathOf(folder));
    const path = pathOf(`${folder}/history.jsonl`);
    const versions = [1, 1 + i];
    const builds = versions.map((version) => ({
      components: [{ name: 'a', version: `${version}`, size: 10, changesPerYear: 1 }],
    }));
    writeFileSync(path, builds.map((build) => JSON.stringify(build)).join('\n'));
    return path;
  });
  const text = ostrata(['layout', 'simulate', '--json', ...names, ...names]);
  const { results, comparisons } = parseJson(text, namesSchema);
  assert.deepEqual(
    results.map(({ series }) => series),
    names,
  );
  assert.deepEqual(comparisons, []);
});
